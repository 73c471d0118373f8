import { CATALOGUE } from "./trials/catalogue.ts";
import { INDEXES } from "./trials/indexes.ts";
import { play } from "./trials/scene.ts";
import { SETTINGS } from "./trials/settings.ts";
import { VACUUM } from "./trials/vacuum.ts";

for (const scene of [CATALOGUE, INDEXES, SETTINGS, VACUUM]) play(scene);
