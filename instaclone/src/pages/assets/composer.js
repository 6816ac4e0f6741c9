// The composer: the chosen photos are shown with a field for what each shows, and are sent with a
// bar that tells how far they have come. What goes wrong is said in the page, and nothing is lost.

const MOST = 10;
const form = document.querySelector('[data-composer]');
const input = form.querySelector('input[type=file]');
const previews = form.querySelector('[data-previews]');
const alts = form.querySelector('[data-alts]');
const bar = form.querySelector('[data-progress]');
const told = document.getElementById('told');

function fields(count) {
  const typed = [...alts.querySelectorAll('input')].map((field) => field.value);
  alts.replaceChildren(...Array.from({ length: count }, (_, index) => {
    const row = document.createElement('p');
    row.className = 'field';
    const label = document.createElement('label');
    label.htmlFor = `alt-${index + 1}`;
    label.textContent = form.dataset.describe.replace('{}', index + 1);
    const field = Object.assign(document.createElement('input'), {
      id: label.htmlFor, name: 'alt', maxLength: 1000, value: typed[index] ?? '',
    });
    row.append(label, field);
    return row;
  }));
}

function show() {
  let files = [...input.files];
  told.textContent = '';
  if (files.length > MOST) {
    files = files.slice(0, MOST);
    const kept = new DataTransfer();
    for (const file of files) kept.items.add(file);
    input.files = kept.files;
    told.textContent = form.dataset.tooMany;
  }
  for (const image of previews.querySelectorAll('img')) URL.revokeObjectURL(image.src);
  previews.replaceChildren(...files.map((file, index) => {
    const item = document.createElement('li');
    const image = document.createElement('img');
    image.src = URL.createObjectURL(file);
    image.alt = file.name;
    const place = document.createElement('span');
    place.textContent = index + 1;
    item.append(image, place);
    return item;
  }));
  previews.hidden = files.length === 0;
  fields(Math.max(files.length, 1));
}

// Says something that no field is at fault for.
function tell(text) {
  told.textContent = '';
  told.textContent = text;
}

// Whether a field is at fault, and what says why.
function describe(field, fault) {
  const others = (field.getAttribute('aria-describedby') ?? '').split(' ').filter((id) => id && !id.endsWith('-fault'));
  field.setAttribute('aria-describedby', [...others, ...fault ? [fault.id] : []].join(' '));
  if (fault) field.setAttribute('aria-invalid', 'true');
  else field.removeAttribute('aria-invalid');
}

function send() {
  const request = new XMLHttpRequest();
  const button = form.querySelector('button');
  button.disabled = true;
  bar.hidden = false;
  request.upload.onprogress = (event) => { if (event.lengthComputable) bar.value = event.loaded / event.total; };
  const stop = () => { button.disabled = false; bar.hidden = true; bar.value = 0; };
  request.onload = () => {
    const page = new DOMParser().parseFromString(request.responseText, 'text/html');
    const signedOut = new URL(request.responseURL).pathname === '/login';
    if (request.status === 200 && !signedOut) return location.assign(request.responseURL);
    stop();
    if (signedOut) return tell(form.dataset.signedOut);
    // A key is good for one post: the page that came back has a new one.
    form.action = page.querySelector('[data-composer]')?.getAttribute('action') ?? form.action;
    for (const old of form.querySelectorAll('.fault')) old.remove();
    for (const field of form.querySelectorAll('[aria-invalid]')) describe(field, null);
    // The faults of the page that came back, each beside the same field as there.
    const faults = page.querySelectorAll('.fault');
    for (const fault of faults) {
      fault.id ||= 'photo-fault';
      const field = form.querySelector(`#${CSS.escape(fault.id.replace(/-fault$/, ''))}`);
      if (field) describe(field, fault);
      (field?.closest('.field') ?? button).after(fault);
    }
    told.textContent = (faults[0] ?? page.querySelector('h1'))?.textContent ?? '';
    form.querySelector('[aria-invalid]')?.focus();
  };
  // The key in the address makes it safe to send again what may have arrived.
  request.onerror = () => { stop(); tell(form.dataset.lost); };
  request.open('POST', form.action);
  request.setRequestHeader('Accept', 'text/html');
  request.send(new FormData(form));
}

input.addEventListener('change', show);
form.addEventListener('submit', (event) => {
  event.preventDefault();
  send();
});
if (input.files.length) show();
else fields(1);
