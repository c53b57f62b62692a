/* SPDX-License-Identifier: MIT */
/* Small conveniences over jansson. */
#pragma once

#include "util/error.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

static inline void cleanup_json_(json_t **j)
{
	json_decref(*j);
}
#define CLEANUP_JSON __attribute__((cleanup(cleanup_json_)))

/* Parses; duplicates refused; depth bounded by jansson (2048). `what` names it in the error. */
ERROR_CHECKED json_t *json_parse(const char *text, size_t len, const char *what, struct error *err);

/* Typed look-ups along a dotted path ("State.Health.Status"); the default when absent or other. */
const json_t *json_at(const json_t *j, const char *path);
const char *json_str_at(const json_t *j, const char *path, const char *otherwise); /* borrowed */
int64_t json_int_at(const json_t *j, const char *path, int64_t otherwise);
int json_bool_at(const json_t *j, const char *path, int otherwise);

/* Compact, keys in order of insertion; the caller frees. */
char *json_text(const json_t *j);
