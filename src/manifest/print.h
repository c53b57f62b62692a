/* SPDX-License-Identifier: MIT */
/* Setters of the printed configuration; each leaves out what is not there. */
#pragma once

#include "internal.h"

void put_text(json_t *o, const char *key, const char *text);
void put_int(json_t *o, const char *key, int64_t value);
void put_ms(json_t *o, const char *key, int ms);
void put_new(json_t *o, const char *key, json_t *value); /* takes it; empty ones are dropped */
void put_list(json_t *o, const char *key, const struct strvec *v);
void put_map(json_t *o, const char *key, const struct strmap *m);
void put_env(json_t *o, const struct config_env *env);
void put_options(json_t *o, const struct config_options *options);
void put_networks(json_t *o, const struct config_network_ptrs *networks);
void put_logging(json_t *o, const struct config_logging *logging);
void put_hosts(json_t *o, const struct config_hosts *hosts);
json_t *print_registry(const struct config_registry *r);
json_t *print_health(const struct config_health *h);
/* The path below the root, as the manifest would name it. Borrowed of `path`. */
const char *print_below(const struct config *c, const char *path);

void put_accessories(json_t *o, const struct config *c);
void put_notify(json_t *o, const struct config *c);

/* The map as YAML; `variables`: ${NAME} in its texts stays one. */
void print_yaml(const json_t *map, bool variables, struct str *out);
