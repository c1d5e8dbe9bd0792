"""The dashboard with 100,000 jobs, and in a browser while 500 events a second happen.

measure   section: each page with many jobs beside the same page with few; then the browser
fill      writes jobs as a worker commits them
pages     reads pages by turns, signed in
browser   opens the overview in a real browser, and has events happen
visit     what the browser measures: a script for Playwright, in an environment of its own
"""
