/* SPDX-License-Identifier: MIT */
/* Input of two files: "\0" parts the second from the first. */
#pragma once

#include "manifest/import.h"

#include <stdint.h>
#include <string.h>

/* Names are the caller's, texts are `data`; returns how many there are. */
static inline size_t two_files(const uint8_t *data, size_t size, struct source files[2])
{
	const char *text = (const char *)data;
	const char *parting = size > 0 ? memchr(text, '\0', size) : NULL;

	files[0].text = text;
	files[0].len = parting != NULL ? (size_t)(parting - text) : size;
	if (parting == NULL) {
		return 1;
	}
	files[1].text = parting + 1;
	files[1].len = size - files[0].len - 1;
	return 2;
}
