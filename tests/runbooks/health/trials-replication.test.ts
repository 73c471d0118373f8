import { REPLICATION } from "./trials/all.ts";
import { play } from "./trials/scene.ts";

for (const scene of REPLICATION) play(scene);
