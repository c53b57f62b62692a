/* SPDX-License-Identifier: MIT */
/* The labels by which what belongs to a service and its destination is made, and found again. */
#pragma once

#include "deploy/names.h"
#include "docker/client.h"
#include "util/map.h"
#include "util/vec.h"

/* Adds LABEL_SERVICE and LABEL_DESTINATION. */
void labels_add(struct strmap *labels, const struct config *c);

struct label_filters {
	struct docker_filters list; /* what docker_*_list() and the like take */
	struct strvec texts;
};

#define CLEANUP_FILTERS __attribute__((cleanup(label_filters_fini)))

/* Filters for what has the labels of labels_add(). */
void label_filters_init(struct label_filters *f, const struct config *c);
/* And this one. */
void label_filters_add(struct label_filters *f, const char *label, const char *value);
void label_filters_fini(struct label_filters *f);
