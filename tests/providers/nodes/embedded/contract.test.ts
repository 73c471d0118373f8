import { nodesContract } from "../contract.ts";

await nodesContract({ provider: "embedded", version: 18 });
