"""The dashboard: server-rendered pages over the use cases of the API. In reading order:

render         templates, and the headers of every page
forms          a submitted form, and its CSRF token
sign_in        POST and DELETE /session, and the sign-in form
attention      what needs attention, as a list
sparkline      the last deliveries of a subscription, as bars
overview       /
timeline       the history of a job, in parts
jobs           /dashboard/jobs, and one job with its timeline
groups         /dashboard/groups, and one group
subscriptions  /dashboard/subscriptions, and one with its deliveries
origins        where the updates of each source come from
sources        /dashboard/sources
actions        what the buttons do
static_files   the style and the script
routes         which path has which page
"""
