"""Setting up our webhook at a provider. In reading order:

provider_api  one call to a provider's API
register      list the provider's webhooks, then create, change or keep ours
"""
