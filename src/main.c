/* SPDX-License-Identifier: MIT */
#include "cli/main.h"

#include <stdio.h>

int main(int argc, char **argv)
{
	return cli_main(argc, argv, stdout, stderr);
}
