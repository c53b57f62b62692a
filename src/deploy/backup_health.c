/* SPDX-License-Identifier: MIT */
/* Is there a good backup, and did the last scheduled one succeed? */
#include "backup.h"
#include "backup_schedule.h"

#include "manifest/syntax.h"
#include "util/clock.h"

#include <stdlib.h>
#include <string.h>

#define LATE_PERIODS 2 /* as many may pass without a good backup */

void backup_health_fini(struct backup_health *h)
{
	backup_info_fini(&h->newest);
	backup_last_fini(&h->last);
	free(h->trouble);
	memset(h, 0, sizeof(*h));
}

static int read_newest(struct deployment *d, struct target *t, const struct config_accessory *a,
	struct backup_health *h, struct error *err)
{
	CLEANUP_BACKUP_PLACE struct backup_place p = {0};
	struct backup_infos all = {0};
	if (backup_place_open(d, t, a, &p, err) < 0) {
		return -1;
	}
	int result = store_list(&p.store, &all, err);
	if (result == 0 && all.len > 0) {
		h->any = true;
		h->newest = all.p[all.len - 1];
		memset(&all.p[all.len - 1], 0, sizeof(all.p[0]));
	}
	backup_infos_fini(&all);
	return result;
}

/* What is wrong, of the last run and of the time since there was a good one. */
static char *trouble_of(const struct config_accessory *a, const struct backup_health *h)
{
	char text[CLOCK_RFC3339_SIZE], often[CLOCK_RFC3339_SIZE];
	int64_t now = clock_wall_ms();
	int64_t gap = syntax_schedule_gap_ms(a->backup.schedule);
	int64_t good = h->any ? h->newest.time_ms : 0;
	int64_t ended = h->ran ? clock_parse_rfc3339(h->last.ended) : 0;
	int64_t since = good > h->last.since_ms ? good : h->last.since_ms;
	if (h->ran && h->last.exit_code != 0 && good < ended) {
		return xasprintf("the last run failed %s ago: %s",
			clock_duration(now - ended, text),
			h->last.why ? h->last.why : "it said nothing");
	}
	if (gap > 0 && since > 0 && now - since > LATE_PERIODS * gap) {
		return xasprintf("no good backup for %s, and there should be one every %s",
			clock_duration(now - since, text), clock_duration(gap, often));
	}
	return NULL;
}

int backup_health_read(struct deployment *d, struct target *t, const struct config_accessory *a,
	struct backup_health *h, struct error *err)
{
	memset(h, 0, sizeof(*h));
	if (read_newest(d, t, a, h, err) < 0) {
		return -1;
	}
	if (a->backup.schedule && backup_last_read(d, t, a, &h->last, &h->ran, err) < 0) {
		return -1;
	}
	h->trouble = a->backup.schedule ? trouble_of(a, h) : NULL;
	return 0;
}
