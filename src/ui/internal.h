/* SPDX-License-Identifier: MIT */
/* The parts of the user interface: texts, redaction, renderers. */
#pragma once

#include "secrets/secret.h"
#include "ui/ui.h"
#include "util/str.h"
#include "util/vec.h"

#include <pthread.h>

/*
 * Texts (text.c).
 */

/* Colours and weights; "" without colour. */
const char *style_code(bool color, enum ui_style style);

/* Decodes one character of UTF-8 at p (len > 0): its length, or 0 when it is not valid. */
size_t utf8_decode(const char *p, size_t len, uint32_t *code);
/* Columns that a text takes on a terminal, SGR sequences counted as none. */
int text_width(const char *text);
/* Length in bytes of the longest begin of `text` that takes at most `columns`. */
size_t text_fit(const char *text, int columns);

/*
 * Takes out of a stream what may not reach a terminal: control characters but newline and tab (a
 * lone CR becomes a newline), escape sequences but SGR (those too without `sgr`), bidirectional
 * overrides; bytes that are not UTF-8 become U+FFFD.
 */
struct sanitizer {
	bool sgr;
	enum { SAN_TEXT, SAN_CR, SAN_ESC, SAN_CSI, SAN_STRING, SAN_STRING_ESC } state;
	char csi[24];
	size_t csi_len;
	char utf8[4];
	size_t utf8_len;
};
void sanitize(struct sanitizer *s, const char *p, size_t len, struct str *out);
/* A text at once.  The last line of a progress bar that redraws itself (CR) is kept. */
void sanitize_line(const char *text, bool sgr, struct str *out);

/*
 * Redaction (redact.c).
 */
VEC_TYPE(redact_patterns, struct secret *);
struct redactor {
	struct redact_patterns patterns;
	size_t longest;
	unsigned char pairs[8192]; /* bit set: first two bytes of a pattern */
};
void redactor_add(struct redactor *r, const char *value, size_t len);
void redactor_apply(const struct redactor *r, const char *p, size_t len, struct str *out);
/* How many bytes at the end may be the begin of a pattern. */
size_t redactor_held(const struct redactor *r, const char *p, size_t len);
void redactor_fini(struct redactor *r);

/*
 * Events and what draws them.
 */
enum event_kind {
	EVENT_PHASE_BEGIN,
	EVENT_PHASE_END,
	EVENT_PHASE_FAIL,
	EVENT_STEP,
	EVENT_DONE,
	EVENT_PROGRESS,
	EVENT_OUTPUT,
	EVENT_INFO,
	EVENT_WARN,
	EVENT_DEBUG,
	EVENT_NOTE,
	EVENT_ERROR,
};

/* Texts are redacted and sanitised; borrowed for the call. */
struct event {
	enum event_kind kind;
	const char *host;  /* NULL: this machine */
	const char *label; /* phase; source of output; what the bytes are; or NULL */
	const char *text;  /* or NULL */
	bool is_err;
	uint64_t done;
	uint64_t total;
	int64_t ms;
	const struct error *error;
};

struct ui;
struct renderer {
	void *(*init)(struct ui *ui);                        /* its state */
	void (*event)(struct ui *ui, const struct event *e); /* under ui->lock */
	void (*pause)(struct ui *ui); /* under ui->lock: takes down what moves */
	void (*resume)(struct ui *ui);
	void (*fini)(struct ui *ui); /* not under ui->lock; no event comes any more */
};
extern const struct renderer plain_renderer;
extern const struct renderer terminal_renderer;
extern const struct renderer json_renderer;

struct ui {
	struct ui_options options;
	const struct renderer *renderer;
	void *state; /* the renderer's */
	pthread_mutex_t lock;
	struct redactor redactor;
	struct str held;                /* end of a ui_write() that may begin a secret */
	struct sanitizer out_sanitizer; /* of ui_write() on a terminal */
	bool out_tty;
	bool out_color;
	bool utf8;
	const char *tty;          /* "/dev/tty", or a test's */
	int64_t (*mono_ms)(void); /* clocks; tests have their own */
	int64_t (*wall_ms)(void);
};

/* What is to be shown of a text from outside: redacted, then sanitised. Appends. */
void ui_clean(const struct ui *ui, const char *text, bool sgr, struct str *out);
/* Writes all and flushes; errors of the terminal are nobody's business. */
void ui_emit(FILE *to, const char *p, size_t len);
/* The lines that plain and terminal mode show of an error. */
void ui_error_text(const struct ui *ui, const struct error *err, struct str *out);

/*
 * The model of the moving region (live.c): pure, so that tests see exact text.
 */
struct live_host {
	char *name;  /* "" is this machine */
	char *phase; /* in which its step began, or NULL */
	char *text;
	char *label;
	bool finished;
	bool has_bytes;
	uint64_t done;
	uint64_t total;
	int64_t bytes_since; /* when the first bytes of the step were told */
};
VEC_TYPE(live_hosts, struct live_host);

struct live_phase {
	char *name;
	int64_t since;
};
VEC_TYPE(live_phases, struct live_phase);

struct live {
	struct live_hosts hosts;
	struct live_phases phases;
};

struct screen {
	int columns;
	int rows;
	bool color;
	bool utf8;
};

/* Takes in an event; appends lines that stay to `lines`. */
void live_event(struct live *l, const struct event *e, const struct screen *s, int64_t now,
	struct strvec *lines);
/* Nothing moves any more; phases that had begun have failed. */
void live_abandon(struct live *l, const struct screen *s, int64_t now, struct strvec *lines);
/* The moving lines, at most screen.rows - 1 of them, each narrower than the screen. */
void live_draw(const struct live *l, const struct screen *s, int64_t now, struct strvec *lines);
void live_fini(struct live *l);
