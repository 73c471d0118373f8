import { INDEXES } from "./trials/indexes.ts";
import { play } from "./trials/scene.ts";
import { SETTINGS } from "./trials/settings.ts";

for (const scene of [INDEXES, SETTINGS]) play(scene);
