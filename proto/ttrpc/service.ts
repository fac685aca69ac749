/** Implementations of services: a typed object of functions per service. @module */
import type {
  AnyMessageSchema,
  MessageInitShape,
  MessageShape,
  MethodSchema,
  ServiceSchema,
} from "../schema/mod.ts";
import type { Metadata } from "./metadata.ts";

/**
 * Binds functions to a service. Methods without a function, and those with a client stream, fail
 * with Unimplemented.
 */
export function implement<S extends AnyService>(
  service: S,
  impl: Partial<ServiceImpl<S>>,
): ServiceBinding {
  const methods = new Map<string, MethodBinding>();
  for (const descriptor of service.methods) {
    const handler = (impl as Record<string, unknown>)[descriptor.localName];
    if (typeof handler !== "function") continue;
    methods.set(descriptor.name, {
      descriptor,
      handler: (request, context) => handler.call(impl, request, context),
    });
  }
  return { typeName: service.typeName, methods };
}

/** A service and its functions, for {@link TtrpcServer}. */
export interface ServiceBinding {
  /** Full name, with the package. */
  readonly typeName: string;
  /** Methods by their names in the .proto file. */
  readonly methods: ReadonlyMap<string, MethodBinding>;
}

/** A method and its function. */
export interface MethodBinding {
  readonly descriptor: MethodSchema;
  readonly handler: (request: unknown, context: CallContext) => unknown;
}

/** One function per method, with the name of the client's: `create`, `closeIO`. */
export type ServiceImpl<S extends AnyService> = {
  [K in keyof MethodsOf<S>]: MethodImpl<MethodsOf<S>[K]>;
};

/** Context of a call, for its method. */
export interface CallContext {
  /**
   * Aborts at the caller's deadline, or when the connection closes, with an RpcError as its reason.
   * TTRPC has no message for a caller that abandons its call.
   */
  readonly signal: AbortSignal;
  readonly metadata: Metadata;
  /** Milliseconds since 1970; absent if the caller sets no deadline. */
  readonly deadline?: number;
  /**
   * Resolves when the answer was written to the connection, or failed. For actions that must follow
   * the answer, such as a shutdown. The method itself must not await it.
   */
  readonly answered: Promise<void>;
}

/** Any service of the generated code. */
// deno-lint-ignore no-explicit-any -- `any` lets TypeScript infer each generated record of methods
export type AnyService = ServiceSchema<any>;

/** Type of the methods of a service. */
export type MethodsOf<S extends AnyService> = S extends ServiceSchema<infer Methods> ? Methods
  : never;

type Unary<I extends AnyMessageSchema, O extends AnyMessageSchema> = (
  request: MessageShape<I>,
  context: CallContext,
) => Promise<MessageInitShape<O>> | MessageInitShape<O>;

type ServerStreaming<I extends AnyMessageSchema, O extends AnyMessageSchema> = (
  request: MessageShape<I>,
  context: CallContext,
) => AsyncIterable<MessageInitShape<O>>;

type MethodImpl<M> = M extends {
  methodKind: "unary";
  input: infer I extends AnyMessageSchema;
  output: infer O extends AnyMessageSchema;
} ? Unary<I, O>
  : M extends {
    methodKind: "server_streaming";
    input: infer I extends AnyMessageSchema;
    output: infer O extends AnyMessageSchema;
  } ? ServerStreaming<I, O>
  : never;
