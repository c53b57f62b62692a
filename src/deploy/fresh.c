/* SPDX-License-Identifier: MIT */
#include "fresh.h"

#include "deploy/container.h"
#include "util/cancel.h"

#include <stdlib.h>

static json_t *body_of(const struct fresh_request *req, const struct docker_container *from)
{
	json_t *body = json_deep_copy(from->config);
	json_t *host = json_deep_copy(from->host_config);
	json_t *cmd = json_array();
	VEC_FOREACH (req->argv, i) {
		json_array_append_new(cmd, json_string(req->argv->p[i]));
	}
	json_object_set_new(body, "Cmd", cmd);
	json_object_set_new(body, "Image", json_string(from->image_id));
	json_object_set_new(body, "Tty", json_boolean(req->tty));
	json_object_set_new(body, "OpenStdin", json_boolean(req->tty));
	json_object_set_new(body, "StdinOnce", json_boolean(req->tty));
	json_object_set_new(body, "AttachStdin", json_boolean(req->tty));
	json_object_set_new(body, "AttachStdout", json_true());
	json_object_set_new(body, "AttachStderr", json_true());
	json_object_del(body, "Hostname");
	json_object_del(body, "Healthcheck");
	json_object_set_new(json_object_get(body, "Labels"), LABEL_KIND, json_string(req->kind));
	json_object_set_new(host, "RestartPolicy", json_pack("{s:s}", "Name", "no"));
	json_object_set_new(host, "PortBindings", json_object());
	json_object_set_new(host, "AutoRemove", json_false());
	json_object_set_new(body, "HostConfig", host);
	container_copy_first_network(from, body);
	return body;
}

void fresh_remove(struct deployment *d, struct target *t, const char *name)
{
	struct error ignored = {0};
	cancel_shield_begin();
	if (docker_container_remove(t->host->docker, name, true, true, &ignored) < 0) {
		ui_warn(d->ui, t->host->name, "%s", ignored.text);
	}
	cancel_shield_end();
}

int fresh_create(
	struct deployment *d, struct target *t, const struct fresh_request *req, struct error *err)
{
	struct docker *docker = t->host->docker;
	struct docker_container from = {0};
	if (docker_container_inspect(docker, req->from, &from, err) < 0) {
		return -1;
	}
	CLEANUP_FREE char *path = xasprintf("/containers/create?name=%s", req->name);
	CLEANUP_JSON json_t *body = body_of(req, &from);
	int result = docker_call(docker, "POST", path, body, 0, NULL, err);
	if (result == 0 && (container_copy_networks(docker, &from, req->name, err) < 0 ||
				   secret_files_copy(docker, &from, docker, req->name, err) < 0)) {
		fresh_remove(d, t, req->name);
		result = -1;
	}
	docker_container_fini(&from);
	return result;
}
