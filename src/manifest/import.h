/* SPDX-License-Identifier: MIT */
/* Shared by import_compose.c (which service is what) and import_service.c (one of them). */
#pragma once

#include "internal.h"

#include "print.h"

#define IMPORT_HOST "192.0.2.10"

struct importing {
	struct arena arena;
	struct diagnostics *diags;
	const struct node *services;
	const char *project;
	const struct node *networks; /* of their own, or NULL */
	struct str secrets;          /* lines of the secrets file */
	struct strmap named;         /* secrets by name, each with its line */
	struct strvec comments;      /* of the section that is being made */
};

/* Has no equal, or not quite: a comment in front of the section. */
void import_comment(struct importing *im, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Compose's variables as ours: $NAME is ${NAME}, $$ is $.  Of the arena. */
const char *import_text(struct importing *im, const struct node *scalar);

/* Compose's "one text, or a list": how many, and each. */
size_t import_count(const struct node *n); /* NULL: none */
const struct node *import_item(const struct node *n, size_t i);

/* `environment` as {clear, secret}; `base`: without what another service has the same. */
void import_env(struct importing *im, const char *service, const struct node *s,
	const struct node *base, json_t *out);
/* cmd, options, healthcheck, logging, stop_timeout; tells all keys that nobody takes. */
void import_container(struct importing *im, const char *service, const struct node *s, json_t *out);
/* `deploy.update_config` as `rollout`; an empty one when there is none. New reference. */
json_t *import_rollout(struct importing *im, const char *service, const struct node *s);
/* Named volumes and absolute paths; relative files as `files` where `places`. */
void import_volumes(
	struct importing *im, const char *service, const struct node *s, bool places, json_t *out);

/* "Host(`shop.example.com`)" of a label of Traefik's, or NULL. */
const char *import_label_host(struct importing *im, const struct node *labels);

/* `proxy.acme` of Traefik's arguments, flags (Compose) or a map (Kamal 1); may be empty. New
 * reference. */
json_t *import_acme(struct importing *im, const struct node *args);

/* One published port. */
struct import_port {
	const char *address; /* NULL: all */
	const char *outside; /* NULL: none */
	const char *inside;
};
/* The at-th of `ports`: false when there is none, or it is none. */
bool import_port(struct importing *im, const struct node *s, size_t at, struct import_port *out);
/* Those that it is on, as `networks`; none where it has only the one that all share. */
void import_networks(struct importing *im, const struct node *s, json_t *out);
/* The first port within the container, by `ports` or `expose`; 0: none. */
int import_inside_port(struct importing *im, const struct node *s);
