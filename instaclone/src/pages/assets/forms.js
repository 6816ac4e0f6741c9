// Forms without a reload: the piece of the page that a form changes comes back, and takes its place.
// Whatever goes wrong, the form is sent as if there were no script.

const PIECE = { Prefer: 'return=representation', Accept: 'text/html' };

async function send(form) {
  const body = new URLSearchParams(new FormData(form));
  const reply = await fetch(form.action, { method: 'POST', headers: PIECE, body });
  if (!reply.ok || reply.redirected) throw new Error(`answered ${reply.status}`);
  const page = new DOMParser().parseFromString(await reply.text(), 'text/html');
  return page.body.firstElementChild;
}

function swap(form, piece) {
  const old = document.getElementById(form.dataset.swap);
  const focused = old.contains(document.activeElement) && document.activeElement;
  if (!piece || 'gone' in form.dataset) {
    const next = old.nextElementSibling ?? old.parentElement;
    old.remove();
    if (focused) { next.tabIndex = -1; next.focus(); }
    return;
  }
  old.replaceWith(piece);
  if (!focused) return;
  const same = focused.className && piece.querySelector(`button.${CSS.escape(focused.className)}`);
  (same || piece.querySelector('button'))?.focus();
}

function add(form, piece) {
  const list = document.getElementById(form.dataset.add);
  if (piece && !document.getElementById(piece.id)) list.prepend(piece);
  // Not reset(): of a comment that came back refused, the text is the field's default.
  const field = form.querySelector('textarea');
  field.value = field.defaultValue = '';
  field.removeAttribute('aria-invalid');
  for (const fault of form.querySelectorAll('.fault')) fault.remove();
  // The next comment is another one.
  const action = new URL(form.action);
  const random = crypto.getRandomValues(new Uint8Array(16));
  action.searchParams.set('idempotency_key', 'form-' + Array.from(random, (byte) => byte.toString(16).padStart(2, '0')).join(''));
  form.action = action;
}

document.addEventListener('submit', async (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== 'post' || form.dataset.composer !== undefined) return;
  const button = event.submitter;
  if (!form.dataset.swap && !form.dataset.add) {
    // A second click must not send it twice; after the event, so that the button's value is sent.
    setTimeout(() => { if (button) button.disabled = true; });
    return;
  }
  event.preventDefault();
  if (form.dataset.busy) return;
  form.dataset.busy = '1';
  try {
    const piece = await send(form);
    if (form.dataset.swap) swap(form, piece);
    else add(form, piece);
  } catch {
    form.submit();
  } finally {
    delete form.dataset.busy;
  }
});

// A page that is shown again by going back must not keep its buttons disabled.
addEventListener('pageshow', () => {
  for (const button of document.querySelectorAll('form button[disabled]')) button.disabled = false;
});
