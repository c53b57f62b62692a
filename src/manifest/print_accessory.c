/* SPDX-License-Identifier: MIT */
/* Accessories and notifications back in the words of the manifest. */
#include "print.h"

#include <string.h>

static void put_files(
	json_t *o, const char *key, const struct config *c, const struct config_files *files)
{
	json_t *list = json_array();

	VEC_FOREACH (files, i) {
		const struct config_file *f = &files->p[i];
		json_t *one = json_object();

		put_text(one, "local", f->expand ? print_below(c, f->local) : f->local);
		put_text(one, "remote", f->remote);
		put_text(one, "mode", f->mode);
		put_text(one, "owner", f->owner);
		put_text(one, "options", f->options);
		json_array_append_new(list, one);
	}
	put_new(o, key, list);
}

static void put_secret(json_t *o, const char *key, const char *name)
{
	if (name != NULL) {
		json_object_set_new(o, key, json_pack("[s]", name));
	}
}

static json_t *backup_json(const struct config *c, const struct config_backup *b)
{
	static const char *const kinds[] = {
		[CONFIG_BACKUP_POSTGRES] = "postgres",
		[CONFIG_BACKUP_MYSQL] = "mysql",
		[CONFIG_BACKUP_MARIADB] = "mariadb",
		[CONFIG_BACKUP_REDIS] = "redis",
		[CONFIG_BACKUP_COMMAND] = "command",
	};
	json_t *o = json_object();

	put_text(o, "kind", kinds[b->kind]);
	put_text(o, "database", b->database);
	put_text(o, "user", b->user);
	put_text(o, "command", b->command);
	put_text(o, "restore", b->restore);
	put_text(o, "verify", b->verify);
	put_text(o, "schedule", b->schedule);
	put_int(o, "keep", b->keep_days);
	put_ms(o, "timeout", b->timeout_ms);
	switch (b->place) {
	case CONFIG_BACKUP_SERVER:
		put_text(o, "to", "server");
		break;
	case CONFIG_BACKUP_LOCAL:
		put_text(o, "to", b->to);
		break;
	case CONFIG_BACKUP_SSH:
		json_object_set_new(o, "to", json_sprintf("ssh://%s%s", b->to, b->folder));
		break;
	case CONFIG_BACKUP_S3: {
		json_t *s3 = json_object();

		json_object_set_new(o, "to",
			json_sprintf(
				"s3://%s%s%s", b->to, *b->folder != '\0' ? "/" : "", b->folder));
		put_text(s3, "endpoint", b->s3_endpoint);
		put_text(s3, "region", b->s3_region);
		put_secret(s3, "access_key", b->s3_access_key_secret);
		put_secret(s3, "secret_key", b->s3_secret_key_secret);
		put_new(o, "s3", s3);
		break;
	}
	}
	put_secret(o, "key", b->key_secret);
	return o;
}

static json_t *accessory_json(const struct config *c, const struct config_accessory *a)
{
	json_t *o = json_object();

	put_text(o, "image", a->image);
	put_text(o, "service", a->container);
	put_hosts(o, &a->hosts);
	put_text(o, "cmd", a->cmd);
	put_list(o, "ports", &a->ports);
	put_env(o, &a->env);
	put_options(o, &a->options);
	put_map(o, "labels", &a->labels);
	put_files(o, "files", c, &a->files);
	put_files(o, "directories", c, &a->directories);
	put_list(o, "volumes", &a->volumes);
	if (a->networks.len == 1) {
		put_text(o, "network", a->networks.p[0]->key);
	} else {
		put_networks(o, &a->networks);
	}
	if (a->has_health) {
		json_object_set_new(o, "healthcheck", print_health(&a->health));
	}
	put_ms(o, "boot_timeout", a->boot_timeout_ms);
	put_ms(o, "stop_timeout", a->stop_timeout_ms);
	put_logging(o, &a->logging);
	if (a->registry.enabled) {
		put_new(o, "registry", print_registry(&a->registry));
	}
	if (a->backup.enabled) {
		put_new(o, "backup", backup_json(c, &a->backup));
	}
	return o;
}

void put_accessories(json_t *o, const struct config *c)
{
	json_t *all = json_object();

	VEC_FOREACH (&c->accessories, i) {
		json_object_set_new(
			all, c->accessories.p[i].name, accessory_json(c, &c->accessories.p[i]));
	}
	put_new(o, "accessories", all);
}

static void put_email(json_t *o, const struct config_notify *n)
{
	put_list(o, "email", &n->to);
	put_text(o, "from", n->from);
	put_text(o, "smtp", n->smtp);
	put_text(o, "tls", n->tls ? "tls" : n->starttls ? "starttls" : "none");
	put_text(o, "username", n->username);
	put_secret(o, "password", n->password_secret);
}

static json_t *notify_json(const struct config_notify *n)
{
	json_t *o = json_object();
	json_t *on = json_array();
	const char *key = n->kind == CONFIG_NOTIFY_SLACK ? "slack" : "webhook";

	if (n->kind == CONFIG_NOTIFY_EMAIL) {
		put_email(o, n);
	} else {
		put_text(o, key, n->url);
		put_secret(o, key, n->url_secret);
		put_secret(o, "secret", n->sign_secret);
	}
	if ((n->on & CONFIG_NOTIFY_SUCCESS) != 0) {
		json_array_append_new(on, json_string("success"));
	}
	if ((n->on & CONFIG_NOTIFY_FAILURE) != 0) {
		json_array_append_new(on, json_string("failure"));
	}
	if ((n->on & CONFIG_NOTIFY_ROLLBACK) != 0) {
		json_array_append_new(on, json_string("rollback"));
	}
	if (n->on & CONFIG_NOTIFY_CHECK) {
		json_array_append_new(on, json_string("check"));
	}
	put_new(o, "on", on);
	return o;
}

void put_notify(json_t *o, const struct config *c)
{
	json_t *all = json_array();

	VEC_FOREACH (&c->notify, i) {
		json_array_append_new(all, notify_json(&c->notify.p[i]));
	}
	put_new(o, "notify", all);
}
