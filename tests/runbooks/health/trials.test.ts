import { CATALOGUE } from "./trials/catalogue.ts";
import { COUNTERS } from "./trials/counters.ts";
import { DAMAGE } from "./trials/damage.ts";
import { FILES } from "./trials/files.ts";
import { INDEXES } from "./trials/indexes.ts";
import { OVERRIDES } from "./trials/overrides.ts";
import { play } from "./trials/scene.ts";
import { READS } from "./trials/reads.ts";
import { SESSIONS } from "./trials/sessions.ts";
import { SETTINGS } from "./trials/settings.ts";
import { STANDBYS } from "./trials/standbys.ts";
import { STARTS } from "./trials/starts.ts";
import { VACUUM } from "./trials/vacuum.ts";
import { WAL } from "./trials/wal.ts";
import { WORKERS } from "./trials/workers.ts";

for (const scene of [
  CATALOGUE,
  COUNTERS,
  ...DAMAGE,
  ...FILES,
  INDEXES,
  OVERRIDES,
  READS,
  ...SESSIONS,
  SETTINGS,
  ...STANDBYS,
  STARTS,
  VACUUM,
  ...WAL,
  ...WORKERS,
])
  play(scene);
