/* SPDX-License-Identifier: MIT */
/* This terminal as that of a remote process. */
#pragma once

#include "util/error.h"

struct terminal_peer {
	int fd; /* raw bytes both ways */
	/* The window has changed (and once at the start). */
	void (*resize)(void *ctx, int rows, int columns);
	void *ctx;
};

/*
 * Connects stdin and stdout with the peer until it ends; in raw mode meanwhile, so that Ctrl-C goes
 * to the remote process.  ERROR_USAGE when stdin is no terminal.
 */
ERROR_CHECKED int terminal_run(const struct terminal_peer *peer, struct error *err);
