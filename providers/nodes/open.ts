import { PgdbaError } from "../../engine/errors.ts";
import { PROVIDERS, providers } from "./_registry.ts";
import type { Opened, Opening, Provider } from "./contract.ts";

/** A provider by its name; it is imported only now. @throws PgdbaError invalid_config */
export async function providerOf(name: string): Promise<Provider> {
  const known = PROVIDERS.find((one) => one === name);
  if (known === undefined) {
    throw new PgdbaError("invalid_config", `There is no provider ${JSON.stringify(name)}`, {
      hint: `There are ${PROVIDERS.join(", ")}.`,
      nothingDone: true,
    });
  }
  return (await providers[known]()).default;
}

/** The way to the nodes of a cluster. @throws PgdbaError invalid_config | unsupported */
export async function openNodes(provider: string, at: Opening): Promise<Opened> {
  return (await providerOf(provider)).open(at);
}
