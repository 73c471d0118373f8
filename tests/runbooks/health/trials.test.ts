import { SCENES } from "./trials/all.ts";
import { play } from "./trials/scene.ts";

for (const scene of SCENES) play(scene);
