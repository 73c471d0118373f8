import { SERVERS } from "./trials/all.ts";
import { play } from "./trials/scene.ts";

for (const scene of SERVERS) play(scene);
