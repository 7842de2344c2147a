// The sixteen behaviours of the AI-service client, for any Breakwater: a scripted one, or the real one with a real service behind it.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, describe, it } from 'node:test';

import { type Document, type ServiceResult, TalentServiceClient } from '../src/index.js';

/** A Breakwater with an AI service behind it that can be broken. */
export interface Target {
  baseUrl: string;
  /** Name of the upstream. */
  upstream: string;
  /** Name of the flag that résumés depend on. */
  flag: string;
  /** Makes the service answer 500 to everything. */
  breakService(): Promise<void>;
  healService(): Promise<void>;
  /** How often the service was asked to do something. */
  asked(): Promise<number>;
  stop(): Promise<void>;
}

const POSTING = { id: 'j-1', title: 'Engine Programmer', company: 'Babbage & Co', requiredSkills: ['analysis', 'punch cards'] };
const JOBS = [
  { id: 'j-2', title: 'Poet', requiredSkills: ['verse'] },
  { id: 'j-1', title: 'Engine Programmer', requiredSkills: ['analysis', 'punch cards'] },
];
const APPLICATIONS = ['applied', 'applied', 'interview', 'offer'];

/** Another person each time, so that no cache has the answer. */
function person(): Document {
  return { name: `Ada ${randomUUID()}`, skills: ['analysis', 'mathematics'], experience: [{ title: 'Analyst', company: 'Analytical Engine' }] };
}

function applications(): Document {
  return { applications: APPLICATIONS.map((status) => ({ id: randomUUID(), status })) };
}

/** The answer of the service itself. */
function served<T>(result: ServiceResult<T>): T {
  assert.ok(result.success, result.success ? '' : `${result.error.errorCode}: ${result.error.message}`);
  assert.equal(result.meta.degraded, false, JSON.stringify(result.meta));
  assert.ok(result.meta.attempts >= 1 && result.meta.correlation_id !== '');
  return result.data;
}

/** An answer that is worse than the service's, but an answer. */
function degraded<T>(result: ServiceResult<T>): T {
  assert.ok(result.success, result.success ? '' : `${result.error.errorCode}: ${result.error.message}`);
  assert.equal(result.meta.degraded, true, JSON.stringify(result.meta));
  assert.ok(result.meta.level, JSON.stringify(result.meta));
  return result.data;
}

function refused<T>(result: ServiceResult<T>): void {
  assert.ok(!result.success);
  assert.ok(result.error.statusCode === 400 || result.error.statusCode === 422, String(result.error.statusCode));
  assert.ok(result.error.violations.length > 0, result.error.message);
}

/** The one upstream among all. */
function named<T extends { name: string }>(upstreams: T[], name: string): T {
  const found = upstreams.find((upstream) => upstream.name === name);
  assert.ok(found, `${name} is not among ${JSON.stringify(upstreams)}`);
  return found;
}

/** Registers the tests. */
export function describeTalent(title: string, start: () => Promise<Target>): void {
  describe(title, () => {
    let target: Target;
    let client: TalentServiceClient;
    before(async () => {
      target = await start();
      client = new TalentServiceClient({ baseUrl: target.baseUrl, retryDelay: 10 });
    });
    afterEach(async () => {
      await target.healService();
      await client.updateFeatureFlag(target.flag, { enabled: true });
      await client.resetCircuitBreakers();
    });
    after(async () => {
      client.dispose();
      await target.stop();
    });

    describe('generateResume', () => {
      it('writes a résumé by the service', async () => {
        const ada = person();
        const data = served(await client.generateResume(ada, POSTING));
        assert.match(JSON.stringify(data), new RegExp(String(ada['name'])));
      });

      it('writes a basic résumé from a template when the service fails', async () => {
        await target.breakService();
        const ada = person();
        const data = degraded(await client.generateResume(ada, POSTING));
        assert.match(JSON.stringify(data), new RegExp(String(ada['name'])));
      });

      it('writes a basic résumé without asking the service when the feature is off', async () => {
        await client.updateFeatureFlag(target.flag, { enabled: false });
        const asked = await target.asked();
        degraded(await client.generateResume(person(), POSTING));
        assert.equal(await target.asked(), asked);
      });

      it('refuses a profile that does not fit, and says where', async () => {
        const asked = await target.asked();
        refused(await client.generateResume({ name: 7 }, POSTING));
        assert.equal(await target.asked(), asked);
      });
    });

    describe('findMatchingJobs', () => {
      it('ranks the jobs by the service', async () => {
        const { matches } = served(await client.findMatchingJobs(person(), JOBS));
        assert.deepEqual(matches.map((match) => match.jobId), ['j-1', 'j-2']);
        assert.ok(matches.every((match) => match.score >= 0 && match.score <= 1));
      });

      it('ranks them by rules when the service fails', async () => {
        await target.breakService();
        const { matches } = degraded(await client.findMatchingJobs(person(), JOBS));
        assert.equal(matches[0]?.jobId, 'j-1');
      });

      it('refuses a list that is none', async () => {
        refused(await client.findMatchingJobs(person(), 'all' as unknown as Document[]));
      });
    });

    describe('calculateAnalytics', () => {
      it('calculates by the service', async () => {
        assert.match(JSON.stringify(served(await client.calculateAnalytics(applications()))), /"total":4/);
      });

      it('counts by itself when the service fails', async () => {
        await target.breakService();
        assert.match(JSON.stringify(degraded(await client.calculateAnalytics(applications()))), /"total":4/);
      });

      it('carries the correlation id through', async () => {
        const result = await client.calculateAnalytics(applications(), { correlationId: 'analytics-7' });
        assert.equal(result.success && result.meta.correlation_id, 'analytics-7');
      });
    });

    describe('getServiceStatus', () => {
      it('names every service with its breaker', async () => {
        const status = await client.getServiceStatus();
        assert.equal(status.ready, true);
        const { state, breaker, healthy } = named(status.upstreams, target.upstream);
        assert.deepEqual([state, breaker, healthy], ['up', 'closed', true]);
      });
    });

    describe('circuit breaker management', () => {
      it('answers without asking the service while the breaker is open', async () => {
        await client.setCircuitBreaker(target.upstream, 'open');
        const { upstreams } = await client.getServiceStatus();
        assert.equal(named(upstreams, target.upstream).breaker, 'forced-open');
        const asked = await target.asked();
        degraded(await client.generateResume(person(), POSTING));
        assert.equal(await target.asked(), asked);
      });

      it('asks the service again when all breakers are reset', async () => {
        assert.equal((await client.setCircuitBreaker(target.upstream, 'open')).breaker, 'forced-open');
        await client.resetCircuitBreakers();
        served(await client.generateResume(person(), POSTING));
      });
    });

    describe('feature flag management', () => {
      it('sets a flag, reads it back, and it counts at once', async () => {
        await client.updateFeatureFlag(target.flag, { enabled: false });
        assert.equal((await client.getFeatureFlag(target.flag)).enabled, false);
        assert.equal(await client.isFeatureEnabled(target.flag, { subject: 'user-1', attributes: { plan: 'pro' } }), false);
        degraded(await client.generateResume(person(), POSTING));
        await client.updateFeatureFlag(target.flag, { enabled: true });
        assert.equal(await client.isFeatureEnabled(target.flag), true);
        served(await client.generateResume(person(), POSTING));
      });
    });

    describe('warmUpService', () => {
      it('connects to the services', async () => {
        assert.equal(named((await client.warmUpService()).upstreams, target.upstream).ok, true);
      });

      it('says so, and does not fail, when a service does not answer', async () => {
        await target.breakService();
        const { ok, upstreams } = await client.warmUpService();
        assert.deepEqual([ok, named(upstreams, target.upstream).ok], [false, false]);
        degraded(await client.calculateAnalytics(applications()));
      });
    });
  });
}
