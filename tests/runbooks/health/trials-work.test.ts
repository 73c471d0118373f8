import { WORK } from "./trials/all.ts";
import { play } from "./trials/scene.ts";

for (const scene of WORK) play(scene);
