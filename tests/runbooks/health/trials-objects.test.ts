import { OBJECTS } from "./trials/all.ts";
import { play } from "./trials/scene.ts";

for (const scene of OBJECTS) play(scene);
