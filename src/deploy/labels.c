/* SPDX-License-Identifier: MIT */
#include "labels.h"

/* The label of no destination is "", so that it can be asked for. */
static const char *destination(const struct config *c)
{
	return c->destination ? c->destination : "";
}

void labels_add(struct strmap *labels, const struct config *c)
{
	strmap_set(labels, LABEL_SERVICE, c->service);
	strmap_set(labels, LABEL_DESTINATION, destination(c));
}

void label_filters_add(struct label_filters *f, const char *label, const char *value)
{
	strvec_pushf(&f->texts, "%s=%s", label, value);
	vec_push(&f->list, ((struct docker_filter){"label", f->texts.p[f->texts.len - 1]}));
}

void label_filters_init(struct label_filters *f, const struct config *c)
{
	*f = (struct label_filters){0};
	label_filters_add(f, LABEL_SERVICE, c->service);
	label_filters_add(f, LABEL_DESTINATION, destination(c));
}

void label_filters_fini(struct label_filters *f)
{
	vec_fini(&f->list);
	strvec_fini(&f->texts);
}
