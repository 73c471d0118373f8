import { CATALOGUE } from "./catalogue.ts";
import { COUNTERS } from "./counters.ts";
import { DAMAGE } from "./damage.ts";
import { FILES } from "./files.ts";
import { INDEXES } from "./indexes.ts";
import { OVERRIDES } from "./overrides.ts";
import { READS } from "./reads.ts";
import type { Scene } from "./scene.ts";
import { SESSIONS } from "./sessions.ts";
import { SETTINGS } from "./settings.ts";
import { STANDBYS } from "./standbys.ts";
import { CACHE, STARTS, WOULD_FAIL } from "./starts.ts";
import { VACUUM } from "./vacuum.ts";
import { WAL } from "./wal.ts";
import { WORKERS } from "./workers.ts";

/** In parts, each played by a test file of its own: files run beside each other. */
export const OBJECTS: Scene[] = [CATALOGUE, COUNTERS, INDEXES, READS];
export const SERVERS: Scene[] = [
  ...DAMAGE,
  ...FILES,
  OVERRIDES,
  SETTINGS,
  STARTS,
  CACHE,
  WOULD_FAIL,
];
export const WORK: Scene[] = [...SESSIONS, VACUUM, ...WORKERS];
export const REPLICATION: Scene[] = [...STANDBYS, ...WAL];

export const SCENES: Scene[] = [...OBJECTS, ...SERVERS, ...WORK, ...REPLICATION];

/** Checks that no scene plays, each with the test that does, or with why none can. */
export const ELSEWHERE: Record<string, { test: string } | { reason: string }> = {
  "patroni-overridden": { test: "tests/runbooks/config/patroni.test.ts" },
  "version-end-of-life": { test: "tests/runbooks/health/every-check.test.ts" },
  "version-minor-behind": {
    reason:
      "It takes the programs of an old minor release; all that can be installed are the newest.",
  },
};
