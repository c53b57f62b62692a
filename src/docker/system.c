/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

/* `uname -m` to the word that images use (GOARCH). */
static const char *image_arch(const char *machine)
{
	static const struct {
		const char *machine, *arch;
	} table[] = {
		{"x86_64", "amd64"},
		{"aarch64", "arm64"},
		{"armv7l", "arm"},
		{"armv6l", "arm"},
		{"i686", "386"},
		{"i386", "386"},
		{"ppc64le", "ppc64le"},
		{"s390x", "s390x"},
		{"riscv64", "riscv64"},
		{"mips64", "mips64le"},
		{"loongarch64", "loong64"},
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (strcmp(table[i].machine, machine) == 0) {
			return table[i].arch;
		}
	}
	return machine;
}

/* DriverStatus: [["driver-type", "io.containerd.snapshotter.v1"], ...] */
static bool containerd_store(const json_t *status)
{
	for (size_t i = 0; i < json_array_size(status); i++) {
		const json_t *pair = json_array_get(status, i);
		const char *key = json_string_value(json_array_get(pair, 0));
		const char *value = json_string_value(json_array_get(pair, 1));
		if (str_eq(key, "driver-type") && value &&
			str_starts(value, "io.containerd.snapshotter")) {
			return true;
		}
	}
	return false;
}

static void parse_info_flags(const json_t *j, struct docker_info *out)
{
	out->containerd_store = containerd_store(json_object_get(j, "DriverStatus"));
	out->live_restore = json_bool_at(j, "LiveRestoreEnabled", 0);
	out->swarm_active = str_eq(json_str_at(j, "Swarm.LocalNodeState", ""), "active");
	out->rootless = json_bool_at(j, "Rootless", 0);
	VEC_FOREACH (&out->security_options, i) {
		if (str_starts(out->security_options.p[i], "name=rootless")) {
			out->rootless = true;
		}
	}
	/* Podman's compatible answer has the conmon path and buildah's version in it. */
	out->podman = json_object_get(j, "BuildahVersion") != NULL ||
		      strstr(json_str_at(j, "InitBinary", ""), "podman") != NULL ||
		      strstr(json_str_at(j, "DockerRootDir", ""), "/containers/storage") != NULL;
}

void docker_parse_info(const json_t *j, struct docker_info *out)
{
	out->name = docker_js(j, "Name");
	out->server_version = docker_js(j, "ServerVersion");
	out->driver = docker_js(j, "Driver");
	out->architecture = xstrdup(image_arch(json_str_at(j, "Architecture", "")));
	out->os_type = docker_js(j, "OSType");
	out->kernel = docker_js(j, "KernelVersion");
	out->operating_system = docker_js(j, "OperatingSystem");
	out->root_dir = docker_js(j, "DockerRootDir");
	out->cgroup_version = docker_js(j, "CgroupVersion");
	out->cgroup_driver = docker_js(j, "CgroupDriver");
	out->ncpu = docker_clamp_int(json_int_at(j, "NCPU", 0));
	out->memory = json_int_at(j, "MemTotal", 0);
	out->containers = docker_clamp_int(json_int_at(j, "Containers", 0));
	out->running = docker_clamp_int(json_int_at(j, "ContainersRunning", 0));
	out->images = docker_clamp_int(json_int_at(j, "Images", 0));
	docker_js_strvec(json_object_get(j, "SecurityOptions"), &out->security_options);
	docker_js_strvec(json_object_get(j, "Warnings"), &out->warnings);
	docker_js_strvec(
		json_at(j, "RegistryConfig.InsecureRegistryCIDRs"), &out->insecure_registries);
	const char *registry;
	json_t *config;
	/* The key is a host name, so no dotted path. */
	json_t *indexes = json_object_get(json_object_get(j, "RegistryConfig"), "IndexConfigs");
	json_object_foreach(indexes, registry, config)
	{
		if (!json_bool_at(config, "Secure", 1)) {
			strvec_push(&out->insecure_registries, registry);
		}
	}
	parse_info_flags(j, out);
}

void docker_info_fini(struct docker_info *i)
{
	char *const strings[] = {i->name, i->server_version, i->driver, i->architecture, i->os_type,
		i->kernel, i->operating_system, i->root_dir, i->cgroup_version, i->cgroup_driver};
	for (size_t n = 0; n < sizeof(strings) / sizeof(strings[0]); n++) {
		free(strings[n]);
	}
	strvec_fini(&i->security_options);
	strvec_fini(&i->insecure_registries);
	strvec_fini(&i->warnings);
	memset(i, 0, sizeof(*i));
}

void docker_parse_version(const json_t *j, struct docker_version *out)
{
	out->version = docker_js(j, "Version");
	out->api_version = docker_js(j, "ApiVersion");
	out->min_api_version = docker_js(j, "MinAPIVersion");
	out->os = docker_js(j, "Os");
	out->arch = docker_js(j, "Arch");
	out->kernel = docker_js(j, "KernelVersion");
	out->platform = docker_js(j, "Platform.Name");
}

void docker_version_fini(struct docker_version *v)
{
	free(v->version);
	free(v->api_version);
	free(v->min_api_version);
	free(v->os);
	free(v->arch);
	free(v->kernel);
	free(v->platform);
	memset(v, 0, sizeof(*v));
}

static int64_t sum(const json_t *list, const char *path)
{
	int64_t total = 0;
	for (size_t i = 0; i < json_array_size(list); i++) {
		int64_t n = json_int_at(json_array_get(list, i), path, 0);
		total += n > 0 ? n : 0;
	}
	return total;
}

void docker_parse_usage(const json_t *j, struct docker_usage *out)
{
	const json_t *images = json_object_get(j, "Images");
	const json_t *containers = json_object_get(j, "Containers");
	const json_t *volumes = json_object_get(j, "Volumes");
	out->layers = json_int_at(j, "LayersSize", 0);
	out->containers = sum(containers, "SizeRw");
	out->volumes = sum(volumes, "UsageData.Size");
	out->build_cache = sum(json_object_get(j, "BuildCache"), "Size");
	out->images_count = docker_clamp_int((int64_t)json_array_size(images));
	out->containers_count = docker_clamp_int((int64_t)json_array_size(containers));
	out->volumes_count = docker_clamp_int((int64_t)json_array_size(volumes));
}

int docker_info(struct docker *d, struct docker_info *out, struct error *err)
{
	return docker_lookup_one(d, DOCKER_LOOKUP_INFO, NULL, NULL, out, err);
}

int docker_version(struct docker *d, struct docker_version *out, struct error *err)
{
	return docker_lookup_one(d, DOCKER_LOOKUP_VERSION, NULL, NULL, out, err);
}

int docker_usage(struct docker *d, struct docker_usage *out, struct error *err)
{
	return docker_lookup_one(d, DOCKER_LOOKUP_USAGE, NULL, NULL, out, err);
}

int docker_auth_check(struct docker *d, const struct docker_auth *auth, struct error *err)
{
	struct docker_body body = {0};
	docker_auth_body(auth, &body);
	struct docker_op op = {.method = "POST",
		.path = "/auth",
		.body = body.p,
		.body_len = body.len,
		.timeout_ms = 2 * docker_head_ms(d)};
	int rc = docker_run_op(d, &op, NULL, err);
	docker_body_fini(&body);
	return rc == 0 ? 0
		       : error_wrap(
				 err, "log in to '%s'", auth->server ? auth->server : "docker.io");
}

int docker_distribution_inspect(struct docker *d, const char *reference,
	const struct docker_auth *auth, struct docker_distribution *out, struct error *err)
{
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	CLEANUP_JSON json_t *j = NULL;
	CLEANUP_HEADERS struct strmap headers = {0};
	docker_path(&path, "/distribution/", reference, "/json");
	docker_add_auth(&headers, auth);
	struct docker_op op = {.method = "GET",
		.path = str_c(&path),
		.headers = &headers,
		.timeout_ms = 2 * docker_head_ms(d)};
	if (docker_run_op(d, &op, &j, err) != 0) {
		return error_wrap(err, "ask the registry for '%s'", reference);
	}
	out->digest = docker_js(j, "Descriptor.digest");
	out->media_type = docker_js(j, "Descriptor.mediaType");
	out->size = json_int_at(j, "Descriptor.size", 0);
	const json_t *platforms = json_object_get(j, "Platforms");
	for (size_t i = 0; i < json_array_size(platforms); i++) {
		const json_t *p = json_array_get(platforms, i);
		strvec_pushf(&out->platforms, "%s/%s", json_str_at(p, "os", "linux"),
			json_str_at(p, "architecture", ""));
	}
	return 0;
}

void docker_distribution_fini(struct docker_distribution *v)
{
	free(v->digest);
	free(v->media_type);
	strvec_fini(&v->platforms);
	memset(v, 0, sizeof(*v));
}
