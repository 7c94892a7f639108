// A real Chromium whose every request, error and violation is looked at.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { chromium } = require('playwright-core');

const AXE = fs.readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const DEADLINE_MILLIS = 60_000;

/** The devices on which the page is looked at. */
const DEVICES = {
  desktop: { viewport: { width: 1280, height: 800 } },
  phone: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
};

/** What the test wants: where the servers and the browser are, and where screenshots go. */
const settings = JSON.parse(process.env.PAGE);

async function start() {
  return chromium.launch({ executablePath: settings.chromium, args: ['--disable-gpu', '--font-render-hinting=none'] });
}

/** Opens the page at `base`, runs `look` and then checks that nothing was loaded from elsewhere and nothing went wrong. */
async function visit(browser, { base, device = 'desktop', scheme = 'light', expectErrors = false }, look) {
  const context = await browser.newContext({ ...DEVICES[device], colorScheme: scheme, reducedMotion: 'reduce', timezoneId: 'UTC', locale: 'en-US' });
  context.setDefaultTimeout(DEADLINE_MILLIS);
  const page = await context.newPage();
  const faults = [];
  page.on('request', (request) => {
    if (!request.url().startsWith(`${base}/`)) faults.push(`a request to ${request.url()}`);
  });
  page.on('pageerror', (error) => faults.push(`an error: ${error.stack}`));
  page.on('console', (message) => {
    // On a busy machine, a server whose clock is fast closes a connection before the browser has sent anything; the page then reads again.
    if (/net::ERR_(EMPTY_RESPONSE|CONNECTION_(CLOSED|RESET))/.test(message.text())) return;
    const isViolation = /content security policy|trusted ?type/i.test(message.text());
    if (isViolation || (message.type() === 'error' && !expectErrors)) faults.push(`in the console: ${message.text()}`);
  });
  await page.exposeFunction('reportViolation', (text) => faults.push(`a violation of the policy: ${text}`));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => window.reportViolation(`${event.violatedDirective} ${event.blockedURI}`));
  });
  await until('the page runs', async () => {
    await page.goto(`${base}/`);
    return page.locator('#nav li').first().waitFor({ timeout: 10_000 }).then(() => true, () => false);
  });
  try {
    await look(page);
  } catch (error) {
    await page.screenshot({ path: path.join(settings.out, 'failed.png'), timeout: 5_000 }).catch(() => {});
    error.message += `\n${device}, ${scheme}: ${page.url()}\n${faults.join('\n')}\n${(await page.locator('body').innerText()).slice(0, 3_000)}`;
    throw error;
  }
  assert.deepEqual(faults, [], `${device}, ${scheme}`);
  await context.close();
}

/** The page as it is has nothing by which axe would say that somebody is kept out. */
async function accessible(page, what) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
  const serious = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
  const text = serious.map(({ id, help, nodes }) => `${id}: ${help}\n${nodes.slice(0, 5).map((node) => `  ${node.html.slice(0, 160)}\n  ${node.failureSummary}`).join('\n')}`);
  assert.deepEqual(text, [], `${what} has violations`);
}

async function screenshot(page, name, options = {}) {
  await page.screenshot({ path: path.join(settings.out, `${name}.png`), animations: 'disabled', ...options });
}

/** The page is not wider than its window. */
async function fits(page, what) {
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= window, `${what} is ${wide} pixels wide in a window of ${window}`);
}

/** Waits until a check passes. */
async function until(what, check) {
  const deadline = Date.now() + DEADLINE_MILLIS;
  for (;;) {
    const passed = await check();
    if (passed) return passed;
    assert.ok(Date.now() < deadline, `not within ${DEADLINE_MILLIS / 1000} s: ${what}`);
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}

module.exports = { accessible, assert, fits, screenshot, settings, start, until, visit };
