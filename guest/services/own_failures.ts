import { RpcError, type ServiceBinding } from "../../proto/mod.ts";
import { rpcErrorOf } from "../base/errors.ts";

/**
 * Returns `service` with every error that is not an RpcError reported to `onError` and answered as
 * Internal (`rpcErrorOf`). An error within a stream of answers passes as it is.
 *
 * @param onError receives the error and the method, `package.Service/Method`
 */
export function hideOwnFailures(
  service: ServiceBinding,
  onError: (error: unknown, method: string) => void,
): ServiceBinding {
  const methods = new Map(service.methods);
  for (const [name, { descriptor, handler }] of service.methods) {
    methods.set(name, {
      descriptor,
      handler: async (request, context) => {
        try {
          return await handler(request, context);
        } catch (error) {
          if (!(error instanceof RpcError)) onError(error, `${service.typeName}/${name}`);
          throw rpcErrorOf(error);
        }
      },
    });
  }
  return { typeName: service.typeName, methods };
}
