/* SPDX-License-Identifier: MIT */
/* What a builder says, told to the ui; and its last words when it fails. */
#pragma once

#include "docker/client.h"
#include "image/trace.h"
#include "ui/ui.h"
#include "util/str.h"

struct build_progress {
	struct ui *ui;
	const char *host; /* or NULL */
	struct trace *trace;
	struct str line; /* classic: output without its newline yet */
	struct str tail; /* classic: last lines of the step */
	char *step;      /* classic: "3/4 : RUN make" */
};

void build_progress_init(struct build_progress *p, struct ui *ui, const char *host);
void build_progress_fini(struct build_progress *p);
/* A docker_progress_fn; ctx is the struct. */
void build_progress_take(void *ctx, const struct docker_progress *d);
/* Puts the failed step and its last lines into *err, which docker_build() has set. Returns -1. */
int build_progress_error(struct build_progress *p, struct error *err);
