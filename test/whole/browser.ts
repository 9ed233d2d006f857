import { accessSync, constants, mkdirSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';

const PROGRAMS = ['chromium', 'chromium-browser', 'google-chrome'];

/** A Chromium: `CHROMIUM_PATH`, or one on PATH. */
export function chromiumPath(): string | undefined {
  const onPath = (process.env.PATH ?? '')
    .split(delimiter)
    .flatMap((folder) => PROGRAMS.map((name) => join(folder, name)));
  return [process.env.CHROMIUM_PATH ?? '', ...onPath].find(isProgram);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return path !== '';
  } catch {
    return false;
  }
}

/** Why tests in a browser cannot run here, if so. */
export const browserMissing = chromiumPath()
  ? undefined
  : 'no Chromium on PATH (apt-get install chromium), and CHROMIUM_PATH names none';

/** What a person does in the web UI of Temporal, as it is in a browser. */
export class TemporalUi {
  private constructor(
    private readonly browser: Browser,
    readonly page: Page,
    private readonly root: string,
  ) {}

  static async open(uiUrl: string, namespace: string): Promise<TemporalUi> {
    const browser = await chromium.launch({ executablePath: chromiumPath(), args: ['--no-sandbox'] });
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, timezoneId: 'UTC' });
    page.setDefaultTimeout(90_000);
    return new TemporalUi(browser, page, `${uiUrl}/namespaces/${namespace}`);
  }

  close(): Promise<void> {
    return this.browser.close();
  }

  /** Kept for the docs where `LETHE_SCREENSHOTS` names a folder. */
  async screenshot(name: string): Promise<void> {
    const folder = process.env.LETHE_SCREENSHOTS;
    if (!folder) return;
    const path = join(folder, `${name}.png`);
    mkdirSync(dirname(path), { recursive: true });
    await this.page.screenshot({ path });
  }

  /** Fills the form *Start Workflow* and sends it. `input` is JSON, or nothing. */
  async startWorkflow(workflow: {
    id: string;
    queue: string;
    type: string;
    input?: string;
    picture?: string;
  }): Promise<void> {
    const { page } = this;
    await page.goto(`${this.root}/workflows/start-workflow`);
    await page.getByTestId('workflowId').fill(workflow.id);
    await page.getByTestId('taskQueue').fill(workflow.queue);
    await page.getByTestId('workflowType').fill(workflow.type);
    if (workflow.input) {
      await page.locator('[contenteditable]').first().click();
      await page.keyboard.insertText(workflow.input);
    }
    await page.getByText('Task Queue is Active').waitFor();
    // The editor formats what was typed when it is left, which moves the button.
    await page.getByRole('heading', { name: 'Start Workflow' }).click();
    if (workflow.picture) await this.screenshot(workflow.picture);
    await page.getByTestId('start-workflow-button').click();
    await page.getByRole('link', { name: 'Workflow started successfully' }).waitFor();
  }

  async openWorkflow(id: string, tab?: 'User Metadata' | 'Search Attributes'): Promise<void> {
    await this.page.goto(`${this.root}/workflows/${id}`);
    if (tab) await this.page.getByText(tab, { exact: true }).first().click();
  }

  /** The list of workflows, filtered. */
  async findWorkflows(query: string): Promise<void> {
    await this.page.goto(`${this.root}/workflows?query=${encodeURIComponent(query)}`);
  }

  async openSchedule(id: string): Promise<void> {
    await this.page.goto(`${this.root}/schedules/${encodeURIComponent(id)}`);
  }

  /** *Trigger* of the schedule that is open. */
  async trigger(): Promise<void> {
    const { page } = this;
    await page.locator('#schedule-actions-menu-button').click();
    await page.getByTestId('trigger-schedule').click();
    await page.getByTestId('confirm-modal-button').filter({ visible: true }).click();
  }

  /** *Backfill* of the schedule that is open: what it should have started on a day (MM/DD/YYYY). */
  async backfill(day: string): Promise<void> {
    const { page } = this;
    await page.locator('#schedule-actions-menu-button').click();
    await page.getByTestId('backfill-schedule').click();
    for (const [end, hour] of [
      ['start', '00'],
      ['end', '23'],
    ]) {
      await page.getByTestId(`backfill-${end}-date`).fill(day);
      await page.getByTestId(`backfill-${end}-hour`).fill(hour!);
      for (const part of ['minute', 'second']) await page.getByTestId(`backfill-${end}-${part}`).fill('00');
    }
    await this.screenshot('temporal-backfill');
    await page.getByTestId('confirm-modal-button').filter({ visible: true }).click();
  }

  /** *Send a Signal* or *Send an Update* of the workflow that is open; returns what the form says of it. */
  async send(kind: 'signal' | 'update', name: string, input?: string): Promise<string> {
    const { page } = this;
    await page.getByRole('button', { name: 'More Actions' }).click();
    await page.getByTestId(`${kind}-button`).filter({ visible: true }).first().click();
    const dialog = page.locator('dialog[open], [role=dialog]').filter({ visible: true });
    await dialog.getByTestId(`${kind}-select-button`).click();
    const option = dialog.getByRole('option', { name: new RegExp(`^${name}\\b`) });
    const text = (await option.textContent()) ?? '';
    await option.click();
    if (input) {
      await dialog.locator('[contenteditable]').first().click();
      await page.keyboard.insertText(input);
      await page.keyboard.press('Tab');
    }
    await dialog.getByTestId('confirm-modal-button').click();
    await dialog.waitFor({ state: 'hidden' });
    return text;
  }
}
