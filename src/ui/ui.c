/* SPDX-License-Identifier: MIT */
/* Events come in here, are scrubbed, and go to the renderer; so do results, to stdout. */
#include "internal.h"

#include "util/clock.h"
#include "util/json.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define MAX_TEXT       ((size_t)1 << 20) /* of one event; more is cut */
#define MAX_JSON_DEPTH 64

static bool is_utf8_locale(void)
{
	static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = getenv(names[i]);
		if (value != NULL && value[0] != '\0') {
			return strcasestr(value, "utf-8") != NULL ||
			       strcasestr(value, "utf8") != NULL;
		}
	}
	return false;
}

static bool is_terminal(FILE *f)
{
	int fd = fileno(f);

	return fd >= 0 && isatty(fd) != 0;
}

struct ui *ui_new(const struct ui_options *options)
{
	struct ui *ui = xcalloc(1, sizeof(*ui));

	ui->options = *options;
	ui->held = (struct str)STR_SECRET_INIT(STR_MAX_FILE);
	ui->out_tty = is_terminal(options->out);
	ui->out_color = options->color && ui->out_tty;
	ui->out_sanitizer.sgr = true;
	ui->utf8 = is_utf8_locale();
	ui->tty = "/dev/tty";
	ui->mono_ms = clock_mono_ms;
	ui->wall_ms = clock_wall_ms;
	pthread_mutex_init(&ui->lock, NULL);
	/* Quiet: there is nothing that could move. */
	ui->renderer = options->json                                 ? &json_renderer
		       : options->animate && options->verbosity >= 0 ? &terminal_renderer
								     : &plain_renderer;
	ui->state = ui->renderer->init(ui);
	return ui;
}

void ui_free(struct ui *ui)
{
	if (ui == NULL) {
		return;
	}
	ui_write(ui, NULL, 0);
	ui->renderer->fini(ui);
	fflush(ui->options.out);
	fflush(ui->options.err);
	redactor_fini(&ui->redactor);
	str_fini(&ui->held);
	pthread_mutex_destroy(&ui->lock);
	free(ui);
}

bool ui_is_json(const struct ui *ui)
{
	return ui != NULL && ui->options.json;
}

int ui_verbosity(const struct ui *ui)
{
	return ui != NULL ? ui->options.verbosity : 0;
}

bool ui_is_animated(const struct ui *ui)
{
	return ui != NULL && ui->renderer == &terminal_renderer;
}

const char *ui_style(const struct ui *ui, enum ui_style style)
{
	return style_code(ui != NULL && ui->out_color && !ui->options.json, style);
}

void ui_redact(struct ui *ui, const char *value, size_t len)
{
	pthread_mutex_lock(&ui->lock);
	redactor_add(&ui->redactor, value, len);
	pthread_mutex_unlock(&ui->lock);
}

void ui_emit(FILE *to, const char *p, size_t len)
{
	if (len > 0) {
		fwrite(p, 1, len, to);
	}
	fflush(to);
}

void ui_clean(const struct ui *ui, const char *text, bool sgr, struct str *out)
{
	CLEANUP_STR struct str scrubbed = STR_INIT(16 * MAX_TEXT);

	redactor_apply(&ui->redactor, text, strnlen(text, MAX_TEXT), &scrubbed);
	sanitize_line(str_c(&scrubbed), sgr, out);
}

/* The same as text of the caller's; NULL stays NULL. */
static char *clean(const struct ui *ui, const char *text, bool sgr)
{
	struct str out = STR_INIT(16 * MAX_TEXT);

	if (text == NULL) {
		return NULL;
	}
	ui_clean(ui, text, sgr, &out);
	return str_take(&out);
}

/* Scrubs the texts of an event and hands it to the renderer. */
static void submit(struct ui *ui, const struct event *raw)
{
	struct event e = *raw;
	bool sgr = ui->options.color && !ui->options.json && raw->kind == EVENT_OUTPUT;

	pthread_mutex_lock(&ui->lock);
	CLEANUP_FREE char *host = clean(ui, raw->host, false);
	CLEANUP_FREE char *label = clean(ui, raw->label, false);
	CLEANUP_FREE char *text = clean(ui, raw->text, sgr);
	e.host = host;
	e.label = label;
	e.text = text;
	ui->renderer->event(ui, &e);
	pthread_mutex_unlock(&ui->lock);
}

/* In quiet mode only errors and results are shown. */
static bool is_shown(const struct ui *ui, int verbosity)
{
	return ui != NULL && ui->options.verbosity >= verbosity;
}

__attribute__((format(printf, 4, 0))) static void submit_va(
	struct ui *ui, enum event_kind kind, const char *host, const char *fmt, va_list ap)
{
	CLEANUP_STR struct str text = STR_INIT(MAX_TEXT);

	str_vaddf(&text, fmt, ap);
	submit(ui, &(struct event){.kind = kind, .host = host, .text = str_c(&text)});
}

void ui_phase_begin(struct ui *ui, const char *phase)
{
	if (is_shown(ui, 0)) {
		submit(ui, &(struct event){.kind = EVENT_PHASE_BEGIN, .label = phase});
	}
}

void ui_phase_end(struct ui *ui, const char *phase, int64_t ms)
{
	if (is_shown(ui, 0)) {
		submit(ui, &(struct event){.kind = EVENT_PHASE_END, .label = phase, .ms = ms});
	}
}

void ui_phase_fail(struct ui *ui, const char *phase, int64_t ms)
{
	if (is_shown(ui, 0)) {
		submit(ui, &(struct event){.kind = EVENT_PHASE_FAIL, .label = phase, .ms = ms});
	}
}

#define SUBMIT_FORMATTED(kind, verbosity)                                                          \
	do {                                                                                       \
		va_list ap;                                                                        \
		if (is_shown(ui, verbosity)) {                                                     \
			va_start(ap, fmt);                                                         \
			submit_va(ui, kind, host, fmt, ap);                                        \
			va_end(ap);                                                                \
		}                                                                                  \
	} while (0)

void ui_step(struct ui *ui, const char *host, const char *fmt, ...)
{
	SUBMIT_FORMATTED(EVENT_STEP, 0);
}

void ui_done(struct ui *ui, const char *host, const char *fmt, ...)
{
	SUBMIT_FORMATTED(EVENT_DONE, 0);
}

void ui_info(struct ui *ui, const char *host, const char *fmt, ...)
{
	SUBMIT_FORMATTED(EVENT_INFO, 0);
}

void ui_warn(struct ui *ui, const char *host, const char *fmt, ...)
{
	SUBMIT_FORMATTED(EVENT_WARN, 0);
}

void ui_debug(struct ui *ui, const char *host, const char *fmt, ...)
{
	SUBMIT_FORMATTED(EVENT_DEBUG, 1);
}

void ui_progress(struct ui *ui, const char *host, const char *label, uint64_t done, uint64_t total)
{
	if (is_shown(ui, 0)) {
		submit(ui, &(struct event){.kind = EVENT_PROGRESS,
				   .host = host,
				   .label = label,
				   .done = done,
				   .total = total});
	}
}

void ui_output(struct ui *ui, const char *host, const char *source, bool is_err, const char *line)
{
	if (is_shown(ui, 0)) {
		submit(ui, &(struct event){.kind = EVENT_OUTPUT,
				   .host = host,
				   .label = source,
				   .is_err = is_err,
				   .text = line});
	}
}

void ui_note(struct ui *ui, const char *text)
{
	if (ui != NULL && !ui->options.json) {
		pthread_mutex_lock(&ui->lock);
		CLEANUP_STR struct str scrubbed = STR_INIT(16 * MAX_TEXT);
		CLEANUP_STR struct str out = STR_INIT(16 * MAX_TEXT);
		struct sanitizer s = {.sgr = ui->options.color};
		redactor_apply(&ui->redactor, text, strnlen(text, MAX_TEXT), &scrubbed);
		sanitize(&s, str_c(&scrubbed), scrubbed.len, &out);
		ui->renderer->event(ui, &(struct event){.kind = EVENT_NOTE, .text = str_c(&out)});
		pthread_mutex_unlock(&ui->lock);
	}
}

char *ui_scrub(struct ui *ui, const char *text)
{
	struct str out = STR_INIT(16 * MAX_TEXT);

	pthread_mutex_lock(&ui->lock);
	redactor_apply(&ui->redactor, text, strnlen(text, MAX_TEXT), &out);
	pthread_mutex_unlock(&ui->lock);
	return str_take(&out);
}

/* "  " before each line. */
static void add_indented(struct str *out, const char *text)
{
	while (*text != '\0') {
		size_t n = strcspn(text, "\n");
		str_add(out, "  ");
		str_addn(out, text, n);
		str_addc(out, '\n');
		text += n + (text[n] == '\n');
	}
}

void ui_error_text(const struct ui *ui, const struct error *err, struct str *out)
{
	bool color = ui->options.color;
	CLEANUP_FREE char *host = xasprintf("host %s: ", err->host);

	str_add(out, style_code(color, UI_RED));
	str_add(out, "deploy: ");
	str_add(out, style_code(color, UI_PLAIN));
	if (err->host[0] != '\0' && strstr(err->text, host) == NULL) {
		str_add(out, host);
	}
	str_add(out, err->text);
	str_addc(out, '\n');
	add_indented(out, err->detail);
	if (err->hint[0] != '\0') {
		str_addf(out, "%shint:%s %s\n", style_code(color, UI_BOLD),
			style_code(color, UI_PLAIN), err->hint);
	}
}

static void clean_field(const struct ui *ui, char *field, size_t size)
{
	size_t len = strlen(field);
	size_t torn = len + 4 >= size ? redactor_held(&ui->redactor, field, len) : 0;

	/* A full field was cut, maybe within a secret. */
	field[len - torn] = '\0';
	CLEANUP_FREE char *text = clean(ui, field, false);
	CLEANUP_FREE char *cut = xstrndup(text, size - 1);

	memcpy(field, cut, strlen(cut) + 1);
}

void ui_error(struct ui *ui, const struct error *err)
{
	struct error e = *err;
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_LINE);

	if (ui == NULL) {
		return;
	}
	pthread_mutex_lock(&ui->lock);
	clean_field(ui, e.text, sizeof(e.text));
	clean_field(ui, e.host, sizeof(e.host));
	clean_field(ui, e.detail, sizeof(e.detail));
	clean_field(ui, e.hint, sizeof(e.hint));
	ui_error_text(ui, &e, &text);
	ui->renderer->event(
		ui, &(struct event){.kind = EVENT_ERROR, .text = str_c(&text), .error = &e});
	pthread_mutex_unlock(&ui->lock);
}

void ui_pause(struct ui *ui)
{
	if (ui != NULL) {
		pthread_mutex_lock(&ui->lock);
		ui->renderer->pause(ui);
		pthread_mutex_unlock(&ui->lock);
	}
}

void ui_resume(struct ui *ui)
{
	if (ui != NULL) {
		pthread_mutex_lock(&ui->lock);
		ui->renderer->resume(ui);
		pthread_mutex_unlock(&ui->lock);
	}
}

/* Under the lock: bytes of a result, scrubbed already where they are ours. */
static void result(struct ui *ui, const char *p, size_t len)
{
	/* Both may be the same terminal: what moves on it is taken down meanwhile. */
	ui->renderer->pause(ui);
	ui_emit(ui->options.out, p, len);
	ui->renderer->resume(ui);
}

void ui_write(struct ui *ui, const void *data, size_t len)
{
	if (ui == NULL || ui->options.json) {
		return;
	}
	pthread_mutex_lock(&ui->lock);
	CLEANUP_STR struct str out = STR_INIT(STR_MAX_REPLY);
	CLEANUP_STR struct str safe = STR_INIT(STR_MAX_REPLY);
	const char *p = data;
	size_t n = len;
	if (ui->held.len > 0) {
		str_addn(&ui->held, data, len);
		p = ui->held.p;
		n = ui->held.len;
	}
	size_t keep = len > 0 ? redactor_held(&ui->redactor, p, n) : 0;
	redactor_apply(&ui->redactor, p, n - keep, &out);
	struct str tail = STR_SECRET_INIT(ui->held.max);
	if (keep > 0) {
		str_addn(&tail, p + n - keep, keep);
	}
	str_fini(&ui->held);
	ui->held = tail;
	if (ui->out_tty) {
		sanitize(&ui->out_sanitizer, str_c(&out), out.len, &safe);
	}
	const struct str *shown = ui->out_tty ? &safe : &out;
	if (shown->len > 0) {
		result(ui, shown->p, shown->len);
	}
	pthread_mutex_unlock(&ui->lock);
}

void ui_print(struct ui *ui, const char *fmt, ...)
{
	va_list ap;
	CLEANUP_STR struct str text = STR_INIT(STR_MAX_FILE);

	if (ui == NULL || ui->options.json) {
		return;
	}
	va_start(ap, fmt);
	str_vaddf(&text, fmt, ap);
	va_end(ap);
	str_addc(&text, '\n');
	ui_write(ui, text.p, text.len);
	ui_write(ui, NULL, 0);
}

static json_t *clean_json(const struct ui *ui, const json_t *j, int depth)
{
	const char *key = NULL;
	json_t *value = NULL;
	size_t i = 0;

	if (depth > MAX_JSON_DEPTH) {
		return json_null();
	}
	if (json_is_object(j)) {
		json_t *o = json_object();
		void *it = json_object_iter((json_t *)(uintptr_t)j);
		for (; it != NULL; it = json_object_iter_next((json_t *)(uintptr_t)j, it)) {
			key = json_object_iter_key(it);
			CLEANUP_FREE char *name = clean(ui, key, false);
			json_object_set_new(
				o, name, clean_json(ui, json_object_iter_value(it), depth + 1));
		}
		return o;
	}
	if (json_is_array(j)) {
		json_t *a = json_array();
		json_array_foreach(j, i, value)
		{
			json_array_append_new(a, clean_json(ui, value, depth + 1));
		}
		return a;
	}
	/* A number may be a secret (a PIN), where it is one as a whole. */
	CLEANUP_FREE char *text = json_is_string(j) ? xstrdup(json_string_value(j)) : json_text(j);
	CLEANUP_STR struct str out = STR_INIT(16 * MAX_TEXT);
	redactor_apply(&ui->redactor, text, strlen(text), &out);
	if (json_is_string(j) || str_eq(str_c(&out), SECRET_REDACTED)) {
		return json_string(str_c(&out));
	}
	return json_deep_copy(j);
}

void ui_json(struct ui *ui, json_t *object)
{
	CLEANUP_JSON json_t *taken = object;

	if (ui == NULL || !ui->options.json) {
		return;
	}
	pthread_mutex_lock(&ui->lock);
	CLEANUP_JSON json_t *scrubbed = clean_json(ui, taken, 0);
	CLEANUP_FREE char *text = json_text(scrubbed);
	CLEANUP_FREE char *line = xasprintf("%s\n", text);
	ui_emit(ui->options.out, line, strlen(line));
	pthread_mutex_unlock(&ui->lock);
}
