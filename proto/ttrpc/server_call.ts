/** A call on the server, from its request to its last answer. @module */
import { messageOf } from "../../base/mod.ts";
import {
  type AnyMessageSchema,
  create,
  fromBinary,
  type MessageInitShape,
  toBinary,
} from "../schema/mod.ts";
import type { Request } from "../gen/ttrpc/request_schema.ts";
import { Code, RpcError, rpcErrorFrom } from "../rpc_error.ts";
import { callDeadline } from "./deadline.ts";
import { metadataFrom } from "./metadata.ts";
import type { CallContext, MethodBinding } from "./service.ts";

/** A running call. */
export class ServerCall {
  /** Resolves when the last answer was sent, or failed; never rejects. */
  readonly answered: Promise<void>;
  /** Resolves when the method has returned; never rejects. */
  readonly returned: Promise<void>;
  readonly #method: MethodBinding;
  readonly #request: Request;
  readonly #host: CallHost;
  readonly #abort = new AbortController();
  /** Rejects the current wait of the call. */
  #interrupt: (error: RpcError) => void = () => {};
  readonly #answered = Promise.withResolvers<void>();
  readonly #returned = Promise.withResolvers<void>();

  constructor(method: MethodBinding, request: Request, host: CallHost) {
    this.#method = method;
    this.#request = request;
    this.#host = host;
    this.answered = this.#answered.promise;
    this.returned = this.#returned.promise;
  }

  /** Runs the method, and passes its answers and errors to the host. */
  start(): void {
    this.#run().finally(() => this.#answered.resolve());
  }

  /** Answers with an error at once, and aborts the method's signal. */
  fail(error: RpcError): void {
    // First, so that the call fails with this error and not with the method's reaction to its
    // signal.
    this.#interrupt(error);
    this.#abort.abort(error);
  }

  async #run(): Promise<void> {
    const timeoutMs = Number(this.#request.timeoutNano) / 1e6;
    using _deadline = timeoutMs === 0
      ? undefined
      : callDeadline(timeoutMs, (error) => this.fail(error));
    try {
      if (this.#method.descriptor.methodKind === "unary") await this.#unary(timeoutMs);
      else await this.#stream(timeoutMs);
    } catch (error) {
      // Only an error text over the limit is rejected. Then the caller gets that error.
      await this.#host.answer({ error: this.#explain(error) })
        .catch((tooLong: RpcError) => this.#host.answer({ error: tooLong }));
    }
  }

  async #unary(timeoutMs: number): Promise<void> {
    const result = this.#call(timeoutMs);
    result.then(() => {}, () => {}).then(this.#returned.resolve);
    const response = this.#encode(await this.#unlessFailed(result));
    await this.#host.answer({ response });
  }

  async #stream(timeoutMs: number): Promise<void> {
    // The method pauses between two messages, so a slow reader slows down the method.
    let iterator: AsyncIterator<unknown> | undefined;
    try {
      const iterable = await this.#call(timeoutMs) as AsyncIterable<unknown>;
      iterator = iterable[Symbol.asyncIterator]();
      for (;;) {
        this.#abort.signal.throwIfAborted();
        const next = await this.#unlessFailed(iterator.next());
        if (next.done) break;
        await this.#host.answer({ data: this.#encode(next.value) });
      }
    } finally {
      // A generator that has ended returns at once; one that hangs is not waited for.
      Promise.resolve(iterator?.return?.()).catch(() => {}).then(() => this.#returned.resolve());
    }
    await this.#host.answer({ end: true });
  }

  async #call(timeoutMs: number): Promise<unknown> {
    const { input } = this.#method.descriptor;
    let request: unknown;
    try {
      request = fromBinary(input, this.#request.payload);
    } catch (error) {
      const why = `${input.typeName} cannot be decoded: ${messageOf(error)}`;
      throw new RpcError(Code.InvalidArgument, why);
    }
    const context: CallContext = {
      signal: this.#abort.signal,
      metadata: metadataFrom(this.#request.metadata),
      answered: this.answered,
      ...(timeoutMs === 0 ? {} : { deadline: Date.now() + timeoutMs }),
    };
    return await this.#method.handler(request, context);
  }

  // Not Promise.race with a promise of the call, which would collect a reaction per message of a
  // long stream.
  #unlessFailed<T>(waited: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#interrupt = reject;
      waited.then(resolve, reject);
      if (this.#abort.signal.aborted) reject(this.#abort.signal.reason);
    });
  }

  #encode(result: unknown): Uint8Array {
    const { output } = this.#method.descriptor;
    return toBinary(output, create(output, result as MessageInitShape<AnyMessageSchema>));
  }

  #explain(thrown: unknown): RpcError {
    if (!(thrown instanceof RpcError)) {
      const { service, name } = this.#method.descriptor;
      this.#host.report(thrown, `${service}/${name}`);
    }
    return rpcErrorFrom(thrown);
  }
}

/** An answer to the caller. All but `data` are the last of their call. */
export type Answer =
  | { response: Uint8Array }
  | { error: RpcError }
  | { data: Uint8Array }
  | { end: true };

/** The connection of a call. */
export interface CallHost {
  /** @throws {RpcError} ResourceExhausted if the answer is over the limit. */
  answer(answer: Answer): Promise<void>;
  report(error: unknown, where: string): void;
}
