// Lists that go on by themselves: the next page is loaded before the end of this one is seen, and
// its items are appended. The link to the next page stays where it is for whoever prefers it.

const list = document.querySelector('[data-list]');

let busy = false;

function watch(link) {
  const observer = new IntersectionObserver(async ([entry]) => {
    if (!entry.isIntersecting) return;
    observer.disconnect();
    await append(link);
  }, { rootMargin: '1200px' });
  observer.observe(link);
}

// Appends the next page; tells whether that went well.
async function append(link) {
  if (busy) return true;
  busy = true;
  try {
    const reply = await fetch(link.href, { headers: { Accept: 'text/html' } });
    if (!reply.ok || new URL(reply.url).pathname === '/login') return false;
    show(link, new DOMParser().parseFromString(await reply.text(), 'text/html'));
    return true;
  } catch {
    return false;
  } finally {
    busy = false;
  }
}

function show(link, page) {
  // What was there already, such as a comment made meanwhile, is not shown twice.
  const items = [...(page.querySelector('[data-list]')?.children ?? [])];
  const focused = document.activeElement === link;
  const fresh = items.filter((item) => !item.id || !document.getElementById(item.id));
  list.append(...fresh);
  if (focused) fresh[0]?.querySelector('a')?.focus();
  const next = page.querySelector('a[rel=next]');
  if (!next) return link.closest('nav').remove();
  link.href = new URL(next.getAttribute('href'), link.href);
  watch(link);
}

const first = document.querySelector('a[rel=next]');
if (list && first) {
  watch(first);
  first.addEventListener('click', async (event) => {
    event.preventDefault();
    if (!await append(first)) location.assign(first.href);
  });
}
