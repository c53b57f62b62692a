/* SPDX-License-Identifier: MIT */
#pragma once

#include "deploy/deployment.h"

/*
 * Makes sure that every selected server has Docker: says what to install where it has none, or does
 * it (Debian and Ubuntu, from the distribution's package).  Then the docker-setup hook.
 */
ERROR_CHECKED int setup_docker(struct deployment *d, bool install, struct error *err);
