/* SPDX-License-Identifier: MIT */
/*
 * A file in which entries become comments, everything else staying as its owner wrote it.
 *
 * What is cut is blank in the text that is judged again, so that lines and columns stay those of
 * the owner's file.
 */
#pragma once

#include "internal.h"

/* A piece of the text that is out: whole lines as a comment, or a part of a line. */
struct cut {
	size_t from, to;
	int column; /* of the key, from 0; -1: a part of a line */
};
VEC_TYPE(cuts, struct cut);

/* A comment before the line that begins at `at`. */
struct cut_note {
	size_t at;
	int indent;
	char *text;
};
VEC_TYPE(cut_notes, struct cut_note);

struct cut_file {
	const char *name; /* borrowed */
	char *original, *text;
	size_t len;
	struct cuts cuts;
	struct cut_notes notes;
};

/* Copies the source, without a byte order mark, and `more` behind it. */
void cut_file_init(struct cut_file *f, const struct source *source, const char *more);
void cut_file_fini(struct cut_file *f);
/* Borrowed: the text without what was cut. */
struct source cut_source(const struct cut_file *f);

/* Makes the key and its value a comment with this reason; false when it cannot be found. */
bool cut_entry(struct cut_file *f, const struct node *key, const char *reason);
/* A comment before the key. */
void cut_note(struct cut_file *f, const struct node *key, const char *text);
/* Appends the text with its comments. */
void cut_write(const struct cut_file *f, struct str *out);

/* A comment, its lines of at most 78 columns. */
void import_add_comment(struct str *out, int indent, const char *text);
