/* SPDX-License-Identifier: MIT */
/*
 * What the tool shows.  Everything below the command line reports through here and nothing else
 * prints: stdout carries a command's result, stderr carries progress, warnings and errors.
 *
 * The engine emits typed events from any thread; one renderer draws them: an animated terminal
 * (one line a host that moves through the phases, bars where there are bytes), plain lines with a
 * timestamp and host, or JSON lines (one object a line on stdout, events and results alike).
 * The sink scrubs the values given to ui_redact() out of all that it writes.
 */
#pragma once

#include "util/error.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct ui;

struct ui_options {
	int verbosity; /* -1 quiet (errors and results), 0 normal, 1 -v (why and how), 2 -vv */
	bool json;
	bool color;      /* caller decided from isatty, TERM, NO_COLOR, --no-color */
	bool animate;    /* stderr is a terminal that is not dumb */
	bool assume_yes; /* -y */
	FILE *out;       /* stdout; borrowed */
	FILE *err;       /* stderr; borrowed */
};

struct ui *ui_new(const struct ui_options *options);
void ui_free(struct ui *ui); /* ends animation, flushes; NULL is fine */

bool ui_is_json(const struct ui *ui);
int ui_verbosity(const struct ui *ui);
bool ui_is_animated(const struct ui *ui);

/* A value that must never be shown (copied into locked memory). Shorter than 4 bytes: ignored. */
void ui_redact(struct ui *ui, const char *value, size_t len);
/* A copy of the text without such values, for what leaves by another way. The caller frees. */
char *ui_scrub(struct ui *ui, const char *text);

/*
 * Events; thread-safe; nothing when `ui` is NULL.  `host` may be NULL (this machine).  Texts are
 * one line: what is after a newline is drawn as its own line.  They may hold anything (a server's
 * words): control characters and escape sequences are taken out.
 */
/* A phase of a command begins ("build", "transfer", "health", "switch", ...) and ends. */
void ui_phase_begin(struct ui *ui, const char *phase);
void ui_phase_end(struct ui *ui, const char *phase, int64_t ms);
/* The same for a phase that failed. */
void ui_phase_fail(struct ui *ui, const char *phase, int64_t ms);
/* What a host does now (replaces its line on a terminal; a line of its own in plain mode). */
void ui_step(struct ui *ui, const char *host, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* A host's present step ended well; stays visible. */
void ui_done(struct ui *ui, const char *host, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Bytes of the present step; total 0 when not known. Cheap: may be called for each chunk. */
void ui_progress(struct ui *ui, const char *host, const char *label, uint64_t done, uint64_t total);
/* A line that a build, a release command, a hook or a container wrote. */
void ui_output(struct ui *ui, const char *host, const char *source, bool is_err, const char *line);
void ui_info(struct ui *ui, const char *host, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void ui_warn(struct ui *ui, const char *host, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Only with -v. */
void ui_debug(struct ui *ui, const char *host, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Text of several lines that is rendered already, on stderr as it is (the diagnostics of a
 * manifest); nothing in JSON mode: give the JSON too. */
void ui_note(struct ui *ui, const char *text);
/* "deploy: push: host app2: ..." with its detail and hint; JSON: {"event":"error",...}. */
void ui_error(struct ui *ui, const struct error *err);

/*
 * Results, on stdout; main thread only.
 */
/* A line of text (nothing in JSON mode: give the JSON too). */
void ui_print(struct ui *ui, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Bytes of a result (logs, exec output); nothing in JSON mode.  An end that may be the begin of a
 * redacted value is held back until the next write; ui_write(ui, NULL, 0) lets it out.  On a
 * terminal escape sequences other than colours are taken out: an interactive session writes to the
 * descriptor itself, between ui_pause() and ui_resume(). */
void ui_write(struct ui *ui, const void *data, size_t len);
/* Leaves the terminal to somebody else; events are kept until ui_resume().  They nest. */
void ui_pause(struct ui *ui);
void ui_resume(struct ui *ui);
/* Colours for a result on stdout: the sequence, or "" where stdout has no colour. */
enum ui_style { UI_PLAIN, UI_BOLD, UI_DIM, UI_RED, UI_GREEN, UI_YELLOW, UI_CYAN };
const char *ui_style(const struct ui *ui, enum ui_style style);
/* One JSON object a line; only in JSON mode, else nothing. Takes the reference. */
void ui_json(struct ui *ui, json_t *object);

/* A table with aligned columns (display width, UTF-8); `right` marks columns aligned right. */
struct ui_table;
struct ui_table *ui_table_new(size_t columns, const char *const headings[]);
void ui_table_right(struct ui_table *t, size_t column);
/* `columns` cells, copied; NULL is an empty cell. */
void ui_table_row(struct ui_table *t, const char *const cells[]);
void ui_table_print(struct ui *ui, const struct ui_table *t); /* nothing in JSON mode */
void ui_table_free(struct ui_table *t);

enum ui_answer { UI_NO, UI_YES, UI_UNASKED /* there is no terminal */ };
/* Asks a yes/no question; -y answers yes. -1: cancelled, or the terminal was closed. */
ERROR_CHECKED int ui_ask(struct ui *ui, enum ui_answer *answer, struct error *err, const char *fmt,
	...) __attribute__((format(printf, 4, 5)));
/*
 * Asks a yes/no question; -y answers yes.  Without a terminal to ask on: ERROR_USAGE that names -y.
 * 0 = yes; -1 with ERROR_INTERRUPTED ("not confirmed") = no.
 */
ERROR_CHECKED int ui_confirm(struct ui *ui, struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Reads a line without echo from the terminal (key passphrases). The caller wipes and frees. */
ERROR_CHECKED char *ui_ask_secret(struct ui *ui, const char *prompt, struct error *err);

/* "1.2 MB", "812 B": decimal units, for people. Returns buf. */
const char *ui_bytes(uint64_t n, char buf[16]);
