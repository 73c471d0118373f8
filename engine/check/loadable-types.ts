import type { StepRegistry, StepType } from "../types.ts";

/** All types but those of the user that can't be loaded, of which `lint` tells. */
export async function loadableTypes(registry: StepRegistry): Promise<StepType[]> {
  const types = await Promise.all(
    registry.names().map((name) => registry.get(name).catch((): undefined => undefined)),
  );
  return types.filter((type) => type !== undefined);
}
