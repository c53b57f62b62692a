/* SPDX-License-Identifier: MIT */
/* TEMPORARY, as pending.c: until the ui layer is there. */
#include "ui/ui.h"

#include <stdarg.h>
#include <stdlib.h>

#define PENDING __attribute__((weak))

struct ui {
	struct ui_options options;
};
PENDING struct ui *ui_new(const struct ui_options *options)
{
	struct ui *ui = calloc(1, sizeof(*ui));
	ui->options = *options;
	return ui;
}
PENDING void ui_free(struct ui *ui)
{
	free(ui);
}
PENDING bool ui_is_json(const struct ui *ui)
{
	return ui->options.json;
}
PENDING void ui_note(struct ui *ui, const char *text)
{
	fputs(text, ui->options.err);
}
PENDING void ui_error(struct ui *ui, const struct error *err)
{
	fprintf(ui->options.err, "deploy: %s\n", err->text);
	if (err->hint[0] != '\0') {
		fprintf(ui->options.err, "  %s\n", err->hint);
	}
}
PENDING void ui_print(struct ui *ui, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	if (!ui->options.json) {
		vfprintf(ui->options.out, fmt, ap);
		fputc('\n', ui->options.out);
	}
	va_end(ap);
}
PENDING void ui_write(struct ui *ui, const void *data, size_t len)
{
	fwrite(data, 1, len, ui->options.out);
}
PENDING void ui_json(struct ui *ui, json_t *object)
{
	if (ui->options.json) {
		json_dumpf(object, ui->options.out, JSON_COMPACT);
		fputc('\n', ui->options.out);
	}
	json_decref(object);
}
struct ui_table {
	size_t columns;
};
PENDING struct ui_table *ui_table_new(size_t columns, const char *const headings[])
{
	struct ui_table *t = calloc(1, sizeof(*t));
	t->columns = columns;
	return t;
}
PENDING void ui_table_row(struct ui_table *t, const char *const cells[])
{
	for (size_t i = 0; i < t->columns; i++) {
		printf("%s  ", cells[i]);
	}
	printf("\n");
}
PENDING void ui_table_print(struct ui *ui, const struct ui_table *t)
{
}
PENDING void ui_table_free(struct ui_table *t)
{
	free(t);
}
