// What the AI service answers: derived from the input alone, so that the same request has the same answer everywhere.

import { createHash } from 'node:crypto';

export const MODEL = 'talent-large-1';

/** A request that this service does not take. */
export class Refused extends Error {
  constructor(message) {
    super(message);
    this.status = 422;
    this.code = 'INVALID_REQUEST';
  }
}

/** 0..1, from a digest of the text. */
function fraction(text) {
  return createHash('sha256').update(text).digest().readUInt32BE(0) / 2 ** 32;
}

function round(number, digits = 4) {
  return Number(number.toFixed(digits));
}

function object(value, what) {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw new Refused(`${what} is an object`);
  return value;
}

function list(value, what) {
  if (!Array.isArray(value)) throw new Refused(`${what} is a list`);
  return value;
}

function profileOf(input) {
  return object(input.user_profile ?? input.userProfile ?? input.profile, 'user_profile');
}

/** Jobs that the service knows by itself. */
const KNOWN_JOBS = [
  { id: 'known-1', title: 'Analyst', requiredSkills: ['analysis', 'statistics'] },
  { id: 'known-2', title: 'Platform Engineer', requiredSkills: ['rust', 'linux'] },
  { id: 'known-3', title: 'Editor', requiredSkills: ['writing'] },
];

const skillsOf = (job) => words(job.requiredSkills ?? job.required_skills ?? job.skills ?? job.requirements);

const words = (value) => (Array.isArray(value) ? value : []).map((skill) => String(skill?.name ?? skill).toLowerCase());

/** `{user_profile, job_posting?}` (or in camel case, as all names here) → `{resume, model, confidence}`. */
export function generateResume(input) {
  const profile = profileOf(input);
  const posting = input.job_posting ?? input.jobPosting ?? {};
  const name = profile.name ?? [profile.first_name, profile.last_name].filter(Boolean).join(' ');
  if (!name) throw new Refused('user_profile.name is needed');
  const wanted = new Set(skillsOf(posting));
  const skills = words(profile.skills).sort((a, b) => Number(wanted.has(b)) - Number(wanted.has(a)) || a.localeCompare(b));
  const title = posting.title ?? profile.title ?? 'Professional';
  const experience = (profile.experience ?? []).map((place) => ({
    title: place.title ?? place.role ?? '',
    company: place.company ?? '',
    highlights: place.highlights ?? (place.description ? [place.description] : []),
  }));
  const known = skills.filter((skill) => wanted.has(skill));
  const strengths = (known.length > 0 ? known : skills).slice(0, 3).join(', ');
  const summary = `${name}, ${title}, brings ${strengths || 'broad experience'}${posting.company ? ` to ${posting.company}` : ''}.`;
  const sections = [
    { heading: 'Summary', items: [summary] },
    { heading: 'Skills', items: skills },
    { heading: 'Experience', items: experience.map((place) => `${place.title}, ${place.company}`) },
    { heading: 'Education', items: (profile.education ?? []).map((school) => school.degree ?? school.school ?? String(school)) },
  ].filter((section) => section.items.length > 0);
  const content = sections.map((section) => `## ${section.heading}\n${section.items.join('\n')}`).join('\n\n');
  return {
    resume: { name, title, summary, skills, experience, sections, content: `# ${name}\n\n${content}` },
    model: MODEL,
    confidence: round(0.7 + 0.3 * fraction(content)),
  };
}

/** `{user_profile, job_postings?, limit?, min_score?}` → `{matches}`, best first. */
export function findMatchingJobs(input) {
  const profile = profileOf(input);
  const jobs = list(input.jobPostings ?? input.job_postings ?? input.jobs ?? KNOWN_JOBS, 'job_postings');
  const own = new Set(words(profile.skills));
  const matches = jobs.map((job, index) => {
    const id = String(object(job, `job_postings[${index}]`).id ?? index);
    const wanted = skillsOf(job);
    const matched = wanted.filter((skill) => own.has(skill));
    const missing = wanted.filter((skill) => !own.has(skill));
    const base = wanted.length > 0 ? matched.length / wanted.length : 0.5;
    const score = round(0.9 * base + 0.1 * fraction(`${id}:${[...own].sort().join()}`));
    return { job_id: id, title: job.title ?? '', score, matched_skills: matched, missing_skills: missing };
  });
  matches.sort((a, b) => b.score - a.score || a.job_id.localeCompare(b.job_id));
  const good = matches.filter((match) => match.score >= (input.minScore ?? input.min_score ?? 0));
  return { matches: good.slice(0, input.limit ?? 10), total: jobs.length, model: MODEL };
}

/** `{applications}` or `{events}` → counts, rates and a forecast. */
export function calculateAnalytics(input) {
  const records = list(input.applications ?? input.events ?? input.records ?? input.data, 'applications');
  const byStatus = {};
  for (const record of records) {
    const status = String(object(record, 'an application').status ?? record.type ?? 'unknown');
    byStatus[status] = (byStatus[status] ?? 0) + 1;
  }
  const total = records.length;
  const rate = (...names) => (total === 0 ? 0 : round(names.reduce((sum, name) => sum + (byStatus[name] ?? 0), 0) / total));
  const metrics = {
    total,
    by_status: byStatus,
    response_rate: rate('interview', 'offer', 'accepted', 'rejected'),
    interview_rate: rate('interview', 'offer', 'accepted'),
    offer_rate: rate('offer', 'accepted'),
  };
  const forecast = round(Math.min(1, metrics.interview_rate + 0.1 * fraction(JSON.stringify(byStatus))));
  return { metrics, insights: [`${total} applications, ${Math.round(100 * metrics.response_rate)} % answered`], forecast, model: MODEL };
}
