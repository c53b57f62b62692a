/* SPDX-License-Identifier: MIT */
/*
 * Output of many hosts at once as a command's result on stdout (and stderr): raw from one, line by
 * line with the host's name in front from several, JSON objects in JSON mode.
 */
#pragma once

#include "ui/ui.h"

struct output;
struct output_host;

/* `prefixed`: with the host's name in front of each line. */
struct output *output_new(struct ui *ui, bool prefixed);
void output_free(struct output *o);

/* The stream of one host (or container); used by one thread. */
struct output_host *output_host_new(struct output *o, const char *name);
void output_bytes(struct output_host *h, bool is_err, const void *data, size_t len);
/* Shows a last line that had no newline. */
void output_host_free(struct output_host *h);
