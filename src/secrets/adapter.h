/* SPDX-License-Identifier: MIT */
/* What the adapters share. */
#pragma once

#include "secrets/adapter.h"
#include "util/json.h"
#include "util/vec.h"

#include <stdbool.h>

/* One call of adapter_fetch(). */
struct fetching {
	const struct adapter *adapter;
	const struct adapter_request *req;
	struct strvec names; /* --from in front, where the adapter wants it so */
	struct strvec env;   /* "K=V" for the program; secret */
	struct secret_map *out;
};

struct adapter {
	const char *name;
	const char *other; /* another name for it, or NULL */
	const char *program;
	const char *title;
	bool needs_account;
	bool needs_from;
	bool joined;                                         /* names get "FROM/" in front */
	bool all;                                            /* no name means all of --from */
	int (*login)(struct fetching *f, struct error *err); /* or NULL */
	int (*fetch)(struct fetching *f, struct error *err);
};

extern const struct adapter adapter_onepassword_, adapter_bitwarden_, adapter_bitwarden_sm_;
extern const struct adapter adapter_lastpass_, adapter_enpass_, adapter_passbolt_, adapter_pass_;
extern const struct adapter adapter_sops_, adapter_aws_, adapter_gcp_, adapter_vault_;
extern const struct adapter adapter_doppler_;

/* A program and its arguments as an array. */
#define ADAPTER_ARGV(f, ...) ((const char *const[]){(f)->adapter->program, __VA_ARGS__, NULL})
/* The same of a list that is put together; sets its NULL. */
const char *const *adapter_argv_(struct strvec *args);

/*
 * Runs the program and collects what it prints.  With `status` its exit status goes there, else one
 * that is not 0 is an error.
 */
ERROR_CHECKED int adapter_call_(struct fetching *f, const char *const *argv, struct str *out,
	int *status, struct error *err);
/* The same with our stdin and stderr, for a login that asks. */
ERROR_CHECKED int adapter_ask_(
	struct fetching *f, const char *const *argv, struct str *out, struct error *err);
/* The JSON that it prints. */
ERROR_CHECKED json_t *adapter_json_(struct fetching *f, const char *const *argv, struct error *err);
/* JSON whose errors quote nothing of it, and whose strings are zeroed when it is freed. */
json_t *adapter_parse_(const struct fetching *f, const struct str *text, struct error *err);
void adapter_json_free_(json_t **j);
#define CLEANUP_SECRET_JSON __attribute__((cleanup(adapter_json_free_)))

/* A result.  JSON other than text is given as its JSON; null is no result. */
void adapter_give_(struct fetching *f, const char *key, const char *value, size_t len);
void adapter_give_json_(struct fetching *f, const char *key, const json_t *value);

/* ERROR_MANIFEST: this name is not there. Returns -1. */
int adapter_missing_(const struct fetching *f, const char *name, struct error *err);

/* Collected output: what `struct str` of a program's answer begins as. */
#define ADAPTER_OUTPUT STR_SECRET_INIT((size_t)4 << 20)
