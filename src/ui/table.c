/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include <assert.h>
#include <stdlib.h>

struct ui_table {
	size_t columns;
	bool *right;
	struct strvec cells; /* row by row; the first row are the headings */
};

struct ui_table *ui_table_new(size_t columns, const char *const headings[])
{
	struct ui_table *t = xcalloc(1, sizeof(*t));

	assert(columns > 0);
	t->columns = columns;
	t->right = xcalloc(columns, sizeof(*t->right));
	ui_table_row(t, headings);
	return t;
}

void ui_table_right(struct ui_table *t, size_t column)
{
	assert(column < t->columns);
	t->right[column] = true;
}

void ui_table_row(struct ui_table *t, const char *const cells[])
{
	for (size_t i = 0; i < t->columns; i++) {
		strvec_push(&t->cells, cells[i] != NULL ? cells[i] : "");
	}
}

/* A cell as it is shown: one line, nothing hidden in it. */
static char *shown(struct ui *ui, const char *cell)
{
	struct str out = STR_INIT(STR_MAX_FILE);

	pthread_mutex_lock(&ui->lock);
	ui_clean(ui, cell, ui->out_color, &out);
	pthread_mutex_unlock(&ui->lock);
	for (size_t i = 0; i < out.len; i++) {
		out.p[i] = out.p[i] == '\n' || out.p[i] == '\t' ? ' ' : out.p[i];
	}
	return str_take(&out);
}

static void add_spaces(struct str *out, int n)
{
	for (; n > 0; n--) {
		str_addc(out, ' ');
	}
}

static void add_row(
	struct str *out, const struct ui_table *t, char *const *cells, const int *widths)
{
	int owed = 0; /* blanks that are only written before something: none at the line's end */

	for (size_t i = 0; i < t->columns; i++) {
		int width = text_width(cells[i]);
		int fill = widths[i] - width;
		if (width > 0) {
			add_spaces(out, owed + (t->right[i] ? fill : 0));
			str_add(out, cells[i]);
			owed = 2 + (t->right[i] ? 0 : fill);
		} else {
			owed += 2 + fill;
		}
	}
}

void ui_table_print(struct ui *ui, const struct ui_table *t)
{
	struct strvec cells = {0};
	CLEANUP_STR struct str out = STR_INIT(STR_MAX_REPLY);

	if (ui == NULL || ui->options.json) {
		return;
	}
	int *widths = xcalloc(t->columns, sizeof(*widths));
	VEC_FOREACH (&t->cells, i) {
		vec_push(&cells, shown(ui, t->cells.p[i]));
		int width = text_width(cells.p[i]);
		widths[i % t->columns] =
			width > widths[i % t->columns] ? width : widths[i % t->columns];
	}
	for (size_t i = 0; i < cells.len; i += t->columns) {
		str_add(&out, i == 0 ? ui_style(ui, UI_BOLD) : "");
		add_row(&out, t, cells.p + i, widths);
		str_add(&out, i == 0 ? ui_style(ui, UI_PLAIN) : "");
		str_addc(&out, '\n');
	}
	free(widths);
	strvec_fini(&cells);
	ui_write(ui, str_c(&out), out.len);
	ui_write(ui, NULL, 0);
}

void ui_table_free(struct ui_table *t)
{
	if (t != NULL) {
		free(t->right);
		strvec_fini(&t->cells);
		free(t);
	}
}
