import { asMigrationError } from "../../migrate/mod.ts";
import { RpcError } from "../../rpc/mod.ts";

/** The answer to a call, with errors that the source can take apart. */
export async function answered<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof RpcError) throw error;
    const { code, message, problems } = asMigrationError(error, "destination");
    throw new RpcError(code, message, problems);
  }
}
