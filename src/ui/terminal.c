/* SPDX-License-Identifier: MIT */
/*
 * The animated terminal: lines that stay scroll up above a region that is redrawn in place.
 *
 * The cursor rests at the left of the row below the region and is never hidden: whatever ends the
 * process, the shell's prompt comes out right.  Each redraw is one write, without clearing first,
 * so that nothing flickers.  A thread redraws while something moves; bursts of events are drawn
 * together.
 */
#include "internal.h"

#include "util/clock.h"
#include "util/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#define FRAME_MS     80                /* between two redraws */
#define PENDING_MAX  ((size_t)1 << 20) /* lines waiting for the next redraw, bytes */
#define PENDING_MANY ((size_t)32 << 10)

struct terminal {
	struct ui *ui;
	struct live live;
	struct strvec pending; /* lines that stay, not yet written */
	size_t pending_bytes;
	VEC_TYPE(drawn_widths, int) drawn; /* columns of each line of the region on the screen */
	bool dirty;
	int paused;
	int64_t painted;
	bool stop;
	pthread_cond_t wake;
	pthread_t ticker;
	bool has_ticker;
};

static int positive_env(const char *name, int otherwise)
{
	long value = 0;
	const char *text = getenv(name);

	return text != NULL && str_to_long(text, 1, 10000, &value) == 0 ? (int)value : otherwise;
}

static struct screen screen_of(const struct ui *ui)
{
	struct screen s = {.color = ui->options.color, .utf8 = ui->utf8};
	struct winsize size = {0};

	if (ioctl(fileno(ui->options.err), TIOCGWINSZ, &size) == 0) {
		s.columns = size.ws_col;
		s.rows = size.ws_row;
	}
	s.columns = s.columns > 0 ? s.columns : positive_env("COLUMNS", 80);
	s.rows = s.rows > 0 ? s.rows : positive_env("LINES", 24);
	return s;
}

/* Moves to the region's first row. A narrower screen has broken its lines into more rows. */
static void go_up(const struct terminal *t, const struct screen *s, struct str *out)
{
	int rows = 0;

	VEC_FOREACH (&t->drawn, i) {
		int width = t->drawn.p[i];
		rows += width > s->columns ? (width + s->columns - 1) / s->columns : 1;
	}
	str_addc(out, '\r');
	if (rows > 0) {
		str_addf(out, "\033[%dA", rows < s->rows ? rows : s->rows);
	}
}

/* Writes pending lines, and the region when `with_region`. */
static void paint(struct terminal *t, bool with_region)
{
	struct screen s = screen_of(t->ui);
	CLEANUP_STR struct str out = STR_INIT(STR_MAX_FILE);
	CLEANUP_STRVEC struct strvec region = {0};

	go_up(t, &s, &out);
	if (t->pending.len > 0) {
		str_add(&out, "\033[J"); /* they may be longer than a row */
	}
	VEC_FOREACH (&t->pending, i) {
		str_add(&out, t->pending.p[i]);
		str_addc(&out, '\n');
	}
	strvec_fini(&t->pending);
	t->pending_bytes = 0;
	t->drawn.len = 0;
	if (with_region) {
		live_draw(&t->live, &s, t->ui->mono_ms(), &region);
	}
	VEC_FOREACH (&region, i) {
		str_addf(&out, "%s\033[K\n", region.p[i]);
		vec_push(&t->drawn, text_width(region.p[i]));
	}
	str_add(&out, "\033[J");
	ui_emit(t->ui->options.err, out.p, out.len);
	t->dirty = false;
	t->painted = t->ui->mono_ms();
}

static bool moves(const struct terminal *t)
{
	return t->live.hosts.len > 0 || t->live.phases.len > 0;
}

static void *tick(void *arg)
{
	struct terminal *t = arg;

	pthread_mutex_lock(&t->ui->lock);
	while (!t->stop) {
		if (!t->dirty && !moves(t)) {
			pthread_cond_wait(&t->wake, &t->ui->lock);
			continue;
		}
		int64_t now = clock_mono_ms();
		/* Nothing new: the seconds still pass. */
		int64_t at = now + (t->dirty ? FRAME_MS : 1000 - now % 1000);
		struct timespec until = {
			.tv_sec = (time_t)(at / 1000), .tv_nsec = (long)(at % 1000) * 1000000};
		bool was_dirty = t->dirty;
		int rc = pthread_cond_timedwait(&t->wake, &t->ui->lock, &until);
		if (!t->stop && t->paused == 0 && (rc == ETIMEDOUT || !was_dirty)) {
			paint(t, true);
		}
	}
	pthread_mutex_unlock(&t->ui->lock);
	return NULL;
}

static void *terminal_init(struct ui *ui)
{
	struct terminal *t = xcalloc(1, sizeof(*t));
	pthread_condattr_t attr;

	t->ui = ui;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->wake, &attr);
	pthread_condattr_destroy(&attr);
	/* Without a thread events are still drawn when they come. */
	t->has_ticker = thread_start(&t->ticker, tick, t) == 0;
	return t;
}

static void terminal_event(struct ui *ui, const struct event *e)
{
	struct terminal *t = ui->state;
	struct screen s = screen_of(ui);
	size_t before = t->pending.len;

	live_event(&t->live, e, &s, ui->mono_ms(), &t->pending);
	for (size_t i = before; i < t->pending.len; i++) {
		t->pending_bytes += strlen(t->pending.p[i]);
	}
	bool was_dirty = t->dirty;
	t->dirty = true;
	if (t->paused > 0) {
		if (t->pending_bytes > PENDING_MAX) { /* a long pause with much output */
			strvec_fini(&t->pending);
			t->pending_bytes = 0;
			strvec_push(&t->pending, "  ... lines left out ...");
		}
		return;
	}
	bool idle = ui->mono_ms() - t->painted >= FRAME_MS;
	if (idle || e->kind == EVENT_ERROR || t->pending_bytes > PENDING_MANY || !t->has_ticker) {
		paint(t, true);
	} else if (!was_dirty) {
		pthread_cond_signal(&t->wake);
	}
}

static void terminal_pause(struct ui *ui)
{
	struct terminal *t = ui->state;

	if (t->paused++ == 0 && (t->dirty || t->drawn.len > 0)) {
		paint(t, false);
	}
}

static void terminal_resume(struct ui *ui)
{
	struct terminal *t = ui->state;

	if (--t->paused == 0 && (t->pending.len > 0 || moves(t))) {
		paint(t, true);
	}
	pthread_cond_signal(&t->wake);
}

/* What was not ended is taken down; phases that had begun are said to have failed. */
static void terminal_fini(struct ui *ui)
{
	struct terminal *t = ui->state;

	pthread_mutex_lock(&ui->lock);
	t->stop = true;
	pthread_cond_signal(&t->wake);
	pthread_mutex_unlock(&ui->lock);
	if (t->has_ticker) {
		pthread_join(t->ticker, NULL);
	}
	if (t->dirty || moves(t) || t->drawn.len > 0 || t->pending.len > 0) {
		struct screen s = screen_of(ui);
		live_abandon(&t->live, &s, ui->mono_ms(), &t->pending);
		paint(t, false);
	}
	live_fini(&t->live);
	strvec_fini(&t->pending);
	vec_fini(&t->drawn);
	pthread_cond_destroy(&t->wake);
	free(t);
}

const struct renderer terminal_renderer = {
	.init = terminal_init,
	.event = terminal_event,
	.pause = terminal_pause,
	.resume = terminal_resume,
	.fini = terminal_fini,
};
