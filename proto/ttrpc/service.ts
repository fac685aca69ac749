/** How services are implemented: a typed object of functions per service. @module */
import type {
  AnyMessageSchema,
  MessageInitShape,
  MessageShape,
  MethodSchema,
  ServiceSchema,
} from "../schema/mod.ts";
import type { Metadata } from "./metadata.ts";

/** Any service of the generated code. */
// deno-lint-ignore no-explicit-any -- `any` lets every generated record of methods be inferred
export type AnyService = ServiceSchema<any>;

/** The methods of a service, for types. */
export type MethodsOf<S extends AnyService> = S extends ServiceSchema<infer Methods> ? Methods
  : never;

export interface CallContext {
  /**
   * Aborted when the caller's time is up, or the connection is gone; `reason` is an RpcError. TTRPC
   * has no message for a caller that lost interest.
   */
  readonly signal: AbortSignal;
  readonly metadata: Metadata;
  /** Milliseconds since 1970; absent: the caller sets no limit. */
  readonly deadline?: number;
  /**
   * Resolves when the answer was handed to the connection, or could not be. For what has to come
   * after it, such as a shutdown; the method itself must not wait for it.
   */
  readonly answered: Promise<void>;
}

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

/** One function per method, named as in the client: `create`, `closeIO`. */
export type ServiceImpl<S extends AnyService> = {
  [K in keyof MethodsOf<S>]: MethodImpl<MethodsOf<S>[K]>;
};

/** A method with the function behind it. */
export interface MethodBinding {
  readonly descriptor: MethodSchema;
  readonly handler: (request: unknown, context: CallContext) => unknown;
}

export interface ServiceBinding {
  /** With its package. */
  readonly typeName: string;
  /** By the name in the .proto file. */
  readonly methods: ReadonlyMap<string, MethodBinding>;
}

/**
 * Binds functions to a service. Methods that are left out, and those with a client stream, answer
 * Unimplemented.
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
