/* SPDX-License-Identifier: MIT */
#include "internal.h"

#include <string.h>

/* Page cache that the kernel can drop at once is not counted, as the docker CLI does not. */
static int64_t memory_used(const json_t *m)
{
	int64_t usage = json_int_at(m, "usage", 0);
	int64_t cache = json_int_at(m, "stats.total_inactive_file", -1); /* cgroup 1 */
	if (cache < 0) {
		cache = json_int_at(m, "stats.inactive_file", 0); /* cgroup 2 */
	}
	return cache < usage ? usage - cache : usage;
}

static void parse_networks(json_t *networks, struct docker_stats *out)
{
	const char *name;
	json_t *n;
	json_object_foreach(networks, name, n)
	{
		out->net_rx += json_int_at(n, "rx_bytes", 0);
		out->net_tx += json_int_at(n, "tx_bytes", 0);
	}
}

static void parse_blocks(const json_t *list, struct docker_stats *out)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *e = json_array_get(list, i);
		int64_t value = json_int_at(e, "value", 0);
		if (strcasecmp(json_str_at(e, "op", ""), "read") == 0) {
			out->block_read += value;
		} else if (strcasecmp(json_str_at(e, "op", ""), "write") == 0) {
			out->block_write += value;
		}
	}
}

void docker_parse_stats(const json_t *j, struct docker_stats *out)
{
	const json_t *memory = json_object_get(j, "memory_stats");
	out->memory = memory_used(memory);
	out->memory_limit = json_int_at(memory, "limit", 0);
	out->cpu_ns = (uint64_t)json_int_at(j, "cpu_stats.cpu_usage.total_usage", 0);
	out->system_ns = (uint64_t)json_int_at(j, "cpu_stats.system_cpu_usage", 0);
	out->cpus = docker_clamp_int(json_int_at(j, "cpu_stats.online_cpus", 0));
	out->pids = json_int_at(j, "pids_stats.current", 0);
	parse_networks(json_object_get(j, "networks"), out);
	parse_blocks(json_at(j, "blkio_stats.io_service_bytes_recursive"), out);
	struct docker_stats before = {
		.cpu_ns = (uint64_t)json_int_at(j, "precpu_stats.cpu_usage.total_usage", 0),
		.system_ns = (uint64_t)json_int_at(j, "precpu_stats.system_cpu_usage", 0),
	};
	out->cpu_percent = docker_stats_cpu(&before, out);
}

double docker_stats_cpu(const struct docker_stats *before, const struct docker_stats *after)
{
	if (before->system_ns == 0 || after->system_ns <= before->system_ns ||
		after->cpu_ns < before->cpu_ns) {
		return -1;
	}
	double used = (double)(after->cpu_ns - before->cpu_ns);
	double passed = (double)(after->system_ns - before->system_ns); /* over all CPUs */
	return used / passed * (after->cpus > 0 ? after->cpus : 1) * 100;
}

int docker_container_stats(struct docker *d, const char *name, bool one_shot,
	struct docker_stats *out, struct error *err)
{
	CLEANUP_STR struct str path = STR_INIT(DOCKER_MAX_PATH);
	docker_path(&path, "/containers/", name, "/stats?stream=false");
	if (one_shot) {
		docker_query(&path, "one-shot", "true");
	}
	return docker_lookup_path(d, DOCKER_LOOKUP_STATS, str_c(&path), name, out, err);
}
