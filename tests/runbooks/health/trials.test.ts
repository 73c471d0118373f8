import { play } from "./trials/scene.ts";
import { SETTINGS } from "./trials/settings.ts";

for (const scene of [SETTINGS]) play(scene);
