// The behaviours of the AI-service client against a small chain of providers that follows the same rules as the real one.

import { describeTalent } from './talentBehaviours.js';
import type { Target } from './talentBehaviours.js';
import { FakeBreakwater, type Reply, type Seen, answer, problem } from './fakeBreakwater.js';

const UPSTREAM = 'talent-service';
const FLAG = 'ai-document-generation';

interface Input {
  userProfile?: { name?: unknown };
  jobPostings?: unknown;
  applications?: unknown[];
}

/** Breakwater with an adapter, a fallback, a breaker and a flag. */
class Chain {
  broken = false;
  asked = 0;
  #breaker = 'closed';
  #flag: Record<string, unknown> = { enabled: true, rollout: 100 };

  reply(seen: Seen): Reply {
    const route = `${seen.method} ${seen.path}`;
    if (route === 'GET /readyz') return { status: 200, body: { status: 'ready' } };
    if (route === 'GET /v1/upstreams') return { status: 200, body: { upstreams: [this.#status()] } };
    if (route === `POST /v1/upstreams/${UPSTREAM}/breaker`) {
      this.#breaker = { reset: 'closed', open: 'forced-open', close: 'forced-closed' }[(seen.body as { action: string }).action] ?? '?';
      return { status: 200, body: this.#status() };
    }
    if (route === `POST /v1/upstreams/${UPSTREAM}/reset`) {
      this.#breaker = 'closed';
      return { status: 200, body: this.#status() };
    }
    if (route === `GET /v1/flags/${FLAG}`) return { status: 200, body: this.#flag };
    if (route.startsWith(`GET /v1/flags/${FLAG}/evaluate`)) return { status: 200, body: { name: FLAG, enabled: this.#flag['enabled'], reason: 'rollout' } };
    if (route === `PUT /v1/flags/${FLAG}`) {
      this.#flag = { rollout: 100, rules: [], ...(seen.body as object) };
      return { status: 200, body: this.#flag };
    }
    if (route === 'POST /v1/warm-up') return { status: 200, body: { ok: !this.broken, upstreams: [{ name: UPSTREAM, ok: !this.broken }] } };
    const operation = /^POST \/v1\/operations\/(.+)$/.exec(route)?.[1];
    return operation === undefined ? problem(404, 'http.not-found') : this.#operation(operation, seen);
  }

  #status(): object {
    return { name: UPSTREAM, state: 'up', healthy: true, breaker: this.#breaker, consecutive_failures: 0 };
  }

  #operation(operation: string, seen: Seen): Reply {
    const { input } = seen.body as { input: Input };
    const pointer = violation(operation, input);
    if (pointer !== undefined) {
      return problem(400, 'operation.input-invalid', { title: 'invalid-request', retryable: false, violations: [{ pointer, message: 'wrong type' }] });
    }
    const correlation_id = String(seen.headers['x-correlation-id']);
    const output = outputOf(operation, input);
    const isOff = operation === 'generate-resume' && this.#flag['enabled'] !== true;
    if (!isOff && this.#breaker !== 'forced-open') {
      this.asked += 1;
      if (!this.broken) return answer(output, { served_by: 'plugin:adapter-talent@0.1.0', attempts: 1, correlation_id });
    }
    return answer(output, { served_by: 'plugin:fallback-talent@0.1.0', degraded: true, level: 'basic', attempts: 0, correlation_id });
  }
}

function violation(operation: string, input: Input): string | undefined {
  if (operation !== 'calculate-analytics' && typeof input.userProfile?.name !== 'string') return '/userProfile/name';
  return operation === 'find-matching-jobs' && !Array.isArray(input.jobPostings) ? '/jobPostings' : undefined;
}

function outputOf(operation: string, input: Input): object {
  if (operation === 'generate-resume') return { resume: { name: input.userProfile?.name } };
  if (operation === 'find-matching-jobs') return { matches: [{ jobId: 'j-1', score: 0.5 }, { jobId: 'j-2', score: 0 }] };
  return { metrics: { total: input.applications?.length } };
}

describeTalent('AI-service client, against a fake', async (): Promise<Target> => {
  const chain = new Chain();
  const fake = await FakeBreakwater.start((seen) => chain.reply(seen));
  return {
    baseUrl: fake.baseUrl,
    upstream: UPSTREAM,
    flag: FLAG,
    breakService: async () => void (chain.broken = true),
    healService: async () => void (chain.broken = false),
    asked: async () => chain.asked,
    stop: () => fake.stop(),
  };
});
