/* SPDX-License-Identifier: MIT */
/*
 * Objects of an S3 bucket, at Amazon's or at any service that speaks the same: signed requests
 * (AWS Signature Version 4) by libcurl, with the bucket in the path.  An object is sent in one
 * request, which S3 limits to S3_MAX bytes.  Errors are ERROR_REMOTE with the service's own words.
 */
#pragma once

#include "secrets/secret.h"
#include "util/error.h"
#include "util/str.h"
#include "util/vec.h"

#include <stdbool.h>
#include <stdint.h>

#define S3_MAX ((uint64_t)5 << 30)

struct s3 {
	const char *endpoint; /* "https://host[:port]"; NULL: Amazon's of the region */
	const char *region, *bucket;
	const struct secret *access_key, *secret_key;
};

/* Sends `size` bytes of fd from its beginning; sha256: 64 hex digits of them. */
ERROR_CHECKED int s3_put(const struct s3 *s, const char *key, int fd, uint64_t size,
	const char *sha256, struct error *err);
/* Writes an object to fd. */
ERROR_CHECKED int s3_get(const struct s3 *s, const char *key, int fd, struct error *err);
/* Appends a small one to `out`. */
ERROR_CHECKED int s3_read(const struct s3 *s, const char *key, struct str *out, struct error *err);
/* Names behind prefix, which ends with '/', of all that are not deeper. */
ERROR_CHECKED int s3_list(
	const struct s3 *s, const char *prefix, struct strvec *names, struct error *err);
ERROR_CHECKED int s3_remove(const struct s3 *s, const char *key, struct error *err);

/* Appends text as a path (with slashes) or a query's value has it. */
void s3_encode(struct str *out, const char *text, bool slashes);
/* The URL of an object, or (key "") of the bucket. The caller frees. */
char *s3_url(const struct s3 *s, const char *key);
